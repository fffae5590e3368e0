# SPDX-License-Identifier: MIT
"""The built-in models (models/*.model) in PyTorch, for gpu_torch.py: the same layers, in the order
in which a PyTorch user writes them. Each returns logits; a text's positions are rows of them."""
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 20, 5), nn.Conv2d(20, 20, 5)
        self.fc1, self.fc2 = nn.Linear(320, 50), nn.Linear(50, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return self.fc2(F.relu(self.fc1(x.reshape(-1, 320))))


def mlp(hidden=2048, layers=2):
    parts, inputs = [nn.Flatten()], 784
    for _ in range(layers):
        parts += [nn.Linear(inputs, hidden), nn.ReLU()]
        inputs = hidden
    return nn.Sequential(*parts, nn.Linear(inputs, 10))


def vgg16():
    parts, inputs = [], 3
    for width in (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0):
        if width:
            parts += [nn.Conv2d(inputs, width, 3, padding=1), nn.ReLU(inplace=True)]
            inputs = width
        else:
            parts += [nn.MaxPool2d(2)]
    return nn.Sequential(*parts, nn.AdaptiveAvgPool2d(7), nn.Flatten(), nn.Linear(25088, 4096),
                         nn.ReLU(inplace=True), nn.Dropout(), nn.Linear(4096, 4096),
                         nn.ReLU(inplace=True), nn.Dropout(), nn.Linear(4096, 1000))


class Bottleneck(nn.Module):
    def __init__(self, inputs, width, stride):
        super().__init__()
        def conv(i, o, k, s=1):
            return nn.Sequential(nn.Conv2d(i, o, k, s, k // 2, bias=False), nn.BatchNorm2d(o))
        self.a, self.b = conv(inputs, width, 1), conv(width, width, 3, stride)
        self.c, self.down = conv(width, 4 * width, 1), None
        if stride > 1 or inputs != 4 * width:
            self.down = conv(inputs, 4 * width, 1, stride)

    def forward(self, x):
        y = self.c(F.relu(self.b(F.relu(self.a(x), inplace=True)), inplace=True))
        return F.relu(y + (self.down(x) if self.down else x), inplace=True)


def resnet50():
    parts = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True),
             nn.MaxPool2d(3, 2, 1)]
    inputs = 64
    for width, blocks, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for i in range(blocks):
            parts.append(Bottleneck(inputs, width, 1 if i else stride))
            inputs = 4 * width
    return nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2048, 1000))


def heads_of(x, heads):
    return x.view(x.shape[0], x.shape[1], heads, -1).transpose(1, 2)


def attend(q, k, v, causal, shared=False):
    y = F.scaled_dot_product_attention(q, k, v, is_causal=causal, **({'enable_gqa': True}
                                                                    if shared else {}))
    return y.transpose(1, 2).flatten(2)


class GptBlock(nn.Module):
    def __init__(self, hidden, heads):
        super().__init__()
        self.heads = heads
        self.ln_1, self.ln_2 = nn.LayerNorm(hidden), nn.LayerNorm(hidden)
        self.c_attn, self.c_proj = nn.Linear(hidden, 3 * hidden), nn.Linear(hidden, hidden)
        self.up, self.down = nn.Linear(hidden, 4 * hidden), nn.Linear(4 * hidden, hidden)

    def forward(self, x):
        q, k, v = (heads_of(t, self.heads) for t in self.c_attn(self.ln_1(x)).chunk(3, 2))
        x = x + self.c_proj(attend(q, k, v, True))
        return x + self.down(F.gelu(self.up(self.ln_2(x)), approximate='tanh'))


class Gpt(nn.Module):
    def __init__(self, layers, hidden, heads, seq=1024, vocabulary=50257):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(vocabulary, hidden), nn.Embedding(seq, hidden)
        self.h = nn.Sequential(*(GptBlock(hidden, heads) for _ in range(layers)))
        self.ln_f = nn.LayerNorm(hidden)

    def forward(self, tokens):
        x = self.wte(tokens) + self.wpe.weight[:tokens.shape[1]]
        return F.linear(self.ln_f(self.h(x)), self.wte.weight).flatten(0, 1)


class BertLayer(nn.Module):
    def __init__(self, hidden, heads):
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v, self.o = (nn.Linear(hidden, hidden) for _ in range(4))
        self.up, self.down = nn.Linear(hidden, 4 * hidden), nn.Linear(4 * hidden, hidden)
        self.ln_1, self.ln_2 = nn.LayerNorm(hidden), nn.LayerNorm(hidden)

    def forward(self, x):
        q, k, v = (heads_of(f(x), self.heads) for f in (self.q, self.k, self.v))
        x = self.ln_1(self.o(attend(q, k, v, False)) + x)
        return self.ln_2(self.down(F.gelu(self.up(x))) + x)


class Bert(nn.Module):
    def __init__(self, layers, hidden, heads, seq=512, vocabulary=30522):
        super().__init__()
        self.word, self.place = nn.Embedding(vocabulary, hidden), nn.Embedding(seq, hidden)
        self.segment, self.ln = nn.Embedding(2, hidden), nn.LayerNorm(hidden)
        self.layers = nn.Sequential(*(BertLayer(hidden, heads) for _ in range(layers)))
        self.dense, self.ln_2 = nn.Linear(hidden, hidden), nn.LayerNorm(hidden)
        self.bias = nn.Parameter(torch.zeros(vocabulary))

    def forward(self, tokens):
        x = self.word(tokens) + self.place.weight[:tokens.shape[1]] + self.segment.weight[0]
        x = self.ln_2(F.gelu(self.dense(self.layers(self.ln(x)))))
        return F.linear(x, self.word.weight, self.bias).flatten(0, 1)


def rotate(x, cos, sin):
    a, b = x.chunk(2, -1)
    return x * cos + torch.cat((-b, a), -1) * sin


class LlamaLayer(nn.Module):
    def __init__(self, hidden, heads, kv_heads, mlp_):
        super().__init__()
        self.heads, self.kv_heads, kv = heads, kv_heads, hidden // heads * kv_heads
        def linear(i, o):
            return nn.Linear(i, o, bias=False)
        self.q, self.k, self.v = linear(hidden, hidden), linear(hidden, kv), linear(hidden, kv)
        self.o, self.down = linear(hidden, hidden), linear(mlp_, hidden)
        self.gate, self.up = linear(hidden, mlp_), linear(hidden, mlp_)
        self.norm_1, self.norm_2 = nn.RMSNorm(hidden, 1e-5), nn.RMSNorm(hidden, 1e-5)

    def forward(self, x, cos, sin):
        y = self.norm_1(x)
        q, k = heads_of(self.q(y), self.heads), heads_of(self.k(y), self.kv_heads)
        q, k, v = rotate(q, cos, sin), rotate(k, cos, sin), heads_of(self.v(y), self.kv_heads)
        x = x + self.o(attend(q, k, v, True, self.heads != self.kv_heads))
        y = self.norm_2(x)
        return x + self.down(F.silu(self.gate(y)) * self.up(y))


class Llama(nn.Module):
    def __init__(self, layers, hidden, heads, kv_heads, mlp_, seq, vocabulary):
        super().__init__()
        self.embed, self.head = nn.Embedding(vocabulary, hidden), nn.Linear(hidden, vocabulary,
                                                                            bias=False)
        self.layers = nn.ModuleList(LlamaLayer(hidden, heads, kv_heads, mlp_)
                                    for _ in range(layers))
        self.norm = nn.RMSNorm(hidden, 1e-5)
        half = hidden // heads // 2
        angle = torch.outer(torch.arange(seq), 10000 ** (-torch.arange(half) / half))
        self.register_buffer('cos', angle.cos().repeat(1, 2))
        self.register_buffer('sin', angle.sin().repeat(1, 2))

    def forward(self, tokens):
        x = self.embed(tokens)
        cos, sin = self.cos[:tokens.shape[1]].to(x.dtype), self.sin[:tokens.shape[1]].to(x.dtype)
        for layer in self.layers:
            x = layer(x, cos, sin)
        return self.head(self.norm(x)).flatten(0, 1)


LLAMA = 'llama:layers=16,hidden=2048,heads=16,kv_heads=8,mlp=5632,seq=2048,vocabulary=32000'
SMALL = 'gpt:layers=2,hidden=64,heads=4,seq=32'
# What sim calls it: how to make it, the shape of a sample or the positions of a text, classes.
MODELS = {
    'net': (Net, (1, 28, 28), 10),
    'mlp': (mlp, (1, 28, 28), 10),
    'resnet50': (resnet50, (3, 224, 224), 1000),
    'vgg16': (vgg16, (3, 224, 224), 1000),
    'gpt2': (lambda: Gpt(12, 768, 12), 1024, 50257),
    'gpt2-medium': (lambda: Gpt(24, 1024, 16), 1024, 50257),
    'gpt2-large': (lambda: Gpt(36, 1280, 20), 1024, 50257),
    'bert-large': (lambda: Bert(24, 1024, 16), 512, 30522),
    LLAMA: (lambda: Llama(16, 2048, 16, 8, 5632, 2048, 32000), 2048, 32000),
    SMALL: (lambda: Gpt(2, 64, 4, 32, 65), 32, 65),
}


def is_text(name):
    return isinstance(MODELS[name][1], int)


def batch_of(name, batch, device, dtype=torch.float32):
    """Random samples and labels. BERT's labels count at 15 % of the positions."""
    _, shape, classes = MODELS[name]
    if not is_text(name):
        x = torch.randn(batch, *shape, device=device, dtype=dtype)
        if name in ('resnet50', 'vgg16'):
            x = x.contiguous(memory_format=torch.channels_last)
        return x, torch.randint(0, classes, (batch,), device=device)
    x = torch.randint(0, classes, (batch, shape), device=device)
    y = torch.randint(0, classes, (batch * shape,), device=device)
    if name.startswith('bert'):
        y[torch.rand(batch * shape, device=device) > .15] = -100
    return x, y
