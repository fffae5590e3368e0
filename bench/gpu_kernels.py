# SPDX-License-Identifier: MIT
"""The kernels that gpu_torch.py measures: matrix products, what memory bounds, attention,
convolutions."""
import random, time

import torch
import torch.nn.functional as F

from gpu_timing import TYPES, sets_of, three

# --- products

def product_shapes(dtype, fast):
    """(role, m, n, k): a layer of `n` outputs and `k` inputs for m rows; dx, dw: its gradients."""
    if fast:
        return [('forward', 64, 96, 32), ('dx', 64, 32, 96), ('dw', 96, 32, 64)]
    layers = []
    def block(rows, h, *outs):
        layers.extend((rows, n, k) for n, k in outs or ((3 * h, h), (h, h), (4 * h, h), (h, 4 * h)))
    if dtype == 'bf16':
        for rows, h in ((1024, 768), (4096, 768), (8192, 768), (16384, 768), (4096, 1024),
                        (8192, 1024), (8192, 1280), (2048, 1600), (8192, 2560)):
            block(rows, h)
        block(4096, 0, (6144, 4096), (4096, 4096), (14336, 4096), (4096, 14336))
        block(8192, 0, (1024, 1024), (5632, 2048), (2048, 5632), (4096, 2048), (1024, 2048))
        layers += [(8192, 50257, 768), (8192, 50304, 768), (4096, 30522, 1024),
                   (8192, 32000, 2048)]
    else:
        for rows, h in ((1024, 768), (8192, 768), (4096, 1024)):
            block(rows, h)
    layers += [(64, 2048, 784), (64, 2048, 2048), (64, 10, 2048), (64, 50, 320), (1024, 2048, 784),
               (1024, 2048, 2048), (256, 1000, 2048), (32, 4096, 25088), (64, 4096, 4096)]
    shapes = []
    for m, n, k in layers:
        shapes += [('forward', m, n, k), ('dx', m, k, n), ('dw', n, k, m)]
    sizes = (128, 256, 512, 1024, 2048, 4096, 8192) + ((16384,) if dtype == 'bf16' else ())
    shapes += [('forward', n, n, n) for n in sizes]
    if dtype == 'bf16':  # edges of waves: 132 units, tiles of 128 and 256
        for n in (4096, 4224, 4352, 8448, 8704):
            shapes += [('forward', 2048, n, 2048), ('forward', 4096, n, 1024)]
        shapes += [('forward', 128 * r, 128 * c, 4096)
                   for r, c in ((1, 8), (2, 33), (4, 33), (11, 12), (12, 12), (6, 44), (7, 44))]
        shapes += [('forward', 2048, 2048, k) for k in (64, 256, 1024, 16384)]
    random.Random(1).shuffle(shapes)
    return list(dict.fromkeys(shapes))


def product_call(device, dtype, role, m, n, k):
    new = lambda *s: torch.randn(*s, device=device, dtype=TYPES[dtype])
    if role == 'forward':
        x, w = new(m, k), new(n, k)
        return lambda: F.linear(x, w)
    if role == 'dx':
        dy, w = new(m, k), new(k, n)
        return lambda: torch.mm(dy, w)
    dy, x = new(k, m), new(k, n)
    return lambda: torch.mm(dy.t(), x)


def products(b, until):
    shares, start = {'bf16': .62, 'f32': .24, 'tf32': .14}, time.monotonic()
    at = start
    for dtype, share in shares.items():
        at += share * (until - start)
        b.precision(dtype)
        for role, m, n, k in b.rows('products ' + dtype, product_shapes(dtype, b.o.fast), at):
            sets = sets_of((m * k + k * n + m * n) * TYPES[dtype].itemsize)
            calls = [product_call(b.o.device, dtype, role, m, n, k) for _ in range(sets)]
            b.emit(part='products', dtype=dtype, role=role, m=m, n=n, k=k, **three(b.timed(calls)))


# --- kernels bound by memory

def elementwise(dtype, size, inputs, function):
    def make(device, bytes_):
        n = max(1, bytes_ // size)
        x = [torch.randn(n, device=device, dtype=TYPES[dtype]) for _ in range(inputs)]
        return lambda: function(*x)
    return make


def rows_of(dtype, width, size, make_call):
    """make_call(x, dy): of matrices with rows of `width`; size: bytes for each element."""
    def make(device, bytes_):
        rows = max(1, bytes_ // size // width)
        x, dy = (torch.randn(rows, width, device=device, dtype=TYPES[dtype]) for _ in range(2))
        return make_call(x, dy)
    return make


def layer_norm(x, dy):
    w = torch.ones(x.shape[1], device=x.device, dtype=x.dtype)
    return lambda: torch.native_layer_norm(x, (x.shape[1],), w, w, 1e-5)


def layer_norm_backward(x, dy):
    w = torch.ones(x.shape[1], device=x.device, dtype=x.dtype)
    _, mean, rstd = torch.native_layer_norm(x, (x.shape[1],), w, w, 1e-5)
    back = torch.ops.aten.native_layer_norm_backward
    return lambda: back(dy, x, [x.shape[1]], mean, rstd, w, w, [True] * 3)


def cross_entropy(x, dy):
    y = torch.randint(0, x.shape[1], (x.shape[0],), device=x.device)
    return lambda: F.cross_entropy(x, y)


def cross_entropy_both(x, dy):
    y = torch.randint(0, x.shape[1], (x.shape[0],), device=x.device)
    x.requires_grad_()
    return lambda: torch.autograd.grad(F.cross_entropy(x, y), x)


def adam(device, bytes_):
    n = max(1, bytes_ // 28)
    p, g, m, v = ([torch.rand(n, device=device)] for _ in range(4))
    step = [torch.ones((), device=device)]
    return lambda: torch._fused_adamw_(p, g, m, v, [], step, lr=1e-4, beta1=.9, beta2=.99,
                                       weight_decay=.1, eps=1e-8, amsgrad=False, maximize=False)


def sgd(device, bytes_):
    n = max(1, bytes_ // 20)
    p, g, v = ([torch.rand(n, device=device)] for _ in range(3))
    return lambda: torch._fused_sgd_(p, g, v, weight_decay=0., momentum=.9, lr=1e-4, dampening=0.,
                                     nesterov=False, maximize=False, is_first_step=False)


def image(device, bytes_, size):
    pixels = max(1, bytes_ // size // 256 // 196)
    return torch.randn(pixels, 256, 14, 14, device=device, dtype=torch.bfloat16).contiguous(
        memory_format=torch.channels_last)


def batch_norm(device, bytes_):
    x, w = image(device, bytes_, 6), torch.ones(256, device=device)
    mean, var = torch.zeros(256, device=device), torch.ones(256, device=device)
    return lambda: F.batch_norm(x, mean, var, w, w, True)


def batch_norm_both(device, bytes_):
    x, w = image(device, bytes_, 16), torch.ones(256, device=device, requires_grad=True)
    dy, bias = torch.randn_like(x), torch.zeros(256, device=device, requires_grad=True)
    x.requires_grad_()
    return lambda: torch.autograd.grad(F.batch_norm(x, None, None, w, bias, True), (x, w, bias), dy)


def max_pool_both(device, bytes_):  # an index of 8 bytes for each output
    x = image(device, bytes_, 9).requires_grad_()
    dy = torch.randn_like(F.max_pool2d(x, 3, 2, 1))
    return lambda: torch.autograd.grad(F.max_pool2d(x, 3, 2, 1), x, dy)


def embedding_both(device, bytes_):
    w = torch.randn(50257, 768, device=device, dtype=torch.bfloat16, requires_grad=True)
    rows = max(1, bytes_ // 768 // 8)
    tokens = torch.randint(0, 50257, (rows,), device=device)
    dy = torch.randn(rows, 768, device=device, dtype=torch.bfloat16)
    return lambda: torch.autograd.grad(F.embedding(tokens, w), w, dy)


FEW, ALL = (16, 18, 20, 22, 24, 26, 28, 30), range(12, 31, 2)
gelu_backward = torch.ops.aten.gelu_backward
# name: sizes, how to make a call that reads and writes so many bytes
MEMORY = {
    'copy f32': (ALL, elementwise('f32', 8, 1, torch.clone)),
    'add f32': (ALL, elementwise('f32', 12, 2, torch.add)),
    'add bf16': (ALL, elementwise('bf16', 6, 2, torch.add)),
    'relu bf16': (FEW, elementwise('bf16', 4, 1, torch.relu)),
    'cast f32 to bf16': (FEW, elementwise('f32', 6, 1, lambda x: x.to(torch.bfloat16))),
    'gelu bf16': (FEW, elementwise('bf16', 4, 1, lambda x: F.gelu(x, approximate='tanh'))),
    'gelu backward bf16': (FEW, elementwise('bf16', 6, 2, lambda x, y: gelu_backward(
        x, y, approximate='tanh'))),
    'sum f32': (ALL, elementwise('f32', 4, 1, torch.sum)),
    'sum of rows bf16': (FEW, rows_of('bf16', 768, 2, lambda x, dy: lambda: x.sum(0))),
    'layer norm bf16': (FEW, rows_of('bf16', 768, 4, layer_norm)),
    'layer norm f32': (FEW[3:], rows_of('f32', 768, 8, layer_norm)),
    'layer norm backward bf16': (FEW, rows_of('bf16', 768, 6, layer_norm_backward)),
    'softmax bf16': (FEW, rows_of('bf16', 1024, 4, lambda x, dy: lambda: x.softmax(1))),
    'cross entropy bf16': (FEW[3:], rows_of('bf16', 50257, 2, cross_entropy)),
    'cross entropy f32': (FEW[4:], rows_of('f32', 50257, 4, cross_entropy)),
    'cross entropy and backward bf16': (FEW[3:], rows_of('bf16', 50257, 2, cross_entropy_both)),
    'cross entropy and backward f32': (FEW[4:], rows_of('f32', 50257, 4, cross_entropy_both)),
    'adam f32': (ALL, adam),
    'sgd f32': (FEW, sgd),
    'batch norm bf16': (FEW[1:], batch_norm),
    'batch norm and backward bf16': (FEW[2:], batch_norm_both),
    'max pool and backward bf16': (FEW[2:7], max_pool_both),
    'embedding and backward bf16': (FEW[3:6], embedding_both),
}


def memory(b, until):
    specs = [(name, 2 ** e) for name, (sizes, _) in MEMORY.items() for e in sizes]
    if b.o.fast:
        specs = [(name, 2 ** 16) for name in MEMORY if b.cuda or 'fused' not in name]
    random.Random(1).shuffle(specs)
    for name, bytes_ in b.rows('memory', specs, until):
        try:
            calls = [MEMORY[name][1](b.o.device, bytes_) for _ in range(sets_of(bytes_))]
            b.emit(part='memory', op=name, bytes=bytes_, **three(b.timed(calls, 30)))
        except (RuntimeError, NotImplementedError) as e:
            b.emit(part='memory', op=name, bytes=bytes_, failed=str(e)[:200])


# --- attention

def attention(b, until):
    shapes = [(1, 2, 32, 16, True)] if b.o.fast else [
        (batch, heads, seq, dim, causal)
        for batch, heads, seq, dim in (
            (8, 12, 1024, 64), (1, 12, 1024, 64), (16, 16, 512, 64), (4, 16, 1024, 64),
            (8, 16, 512, 64), (4, 16, 2048, 128), (4, 16, 2048, 64), (2, 16, 4096, 64),
            (2, 16, 4096, 128), (1, 32, 8192, 128), (16, 12, 1024, 64), (1, 16, 16384, 64),
            (8, 32, 2048, 128), (64, 16, 128, 64), (8, 20, 1024, 64), (1, 32, 2048, 128))
        for causal in (True, False)]
    for batch, heads, seq, dim, causal in b.rows('attention', shapes, until):
        size, one = batch * heads * seq * dim, dict(device=b.o.device, dtype=torch.bfloat16)
        def make():
            qkv = torch.randn(batch, seq, 3, heads, dim, **one).transpose(1, 3)
            q, k, v = (qkv[:, :, i].detach().requires_grad_() for i in range(3))
            dy = torch.randn(batch, seq, heads, dim, **one).transpose(1, 2)
            call = lambda: F.scaled_dot_product_attention(q, k, v, is_causal=causal)
            return call, lambda: torch.autograd.grad(call(), (q, k, v), dy)
        pairs = [make() for _ in range(sets_of(size * 8))]
        with torch.no_grad():
            forward = b.timed([p[0] for p in pairs])
        both = b.timed([p[1] for p in pairs])
        for what, times in (('forward', forward), ('both', both)):
            b.emit(part='attention', batch=batch, heads=heads, seq=seq, dim=dim, causal=causal,
                   what=what, **three(times))


# --- convolutions: in, out, image, kernel, stride, padding

def convolution_shapes(fast):
    if fast:
        return [('net', 4, 1, 20, 28, 5, 1, 0, 'f32'), ('resnet50', 2, 8, 8, 14, 3, 1, 1, 'bf16')]
    net = [(1, 20, 28, 5, 1, 0), (20, 20, 12, 5, 1, 0)]
    resnet = [(3, 64, 224, 7, 2, 3), (64, 64, 56, 1, 1, 0), (64, 64, 56, 3, 1, 1),
              (64, 256, 56, 1, 1, 0), (256, 64, 56, 1, 1, 0), (256, 128, 56, 1, 1, 0),
              (128, 128, 56, 3, 2, 1), (128, 512, 28, 1, 1, 0), (256, 512, 56, 1, 2, 0),
              (512, 128, 28, 1, 1, 0), (128, 128, 28, 3, 1, 1), (512, 256, 28, 1, 1, 0),
              (256, 256, 28, 3, 2, 1), (256, 1024, 14, 1, 1, 0), (1024, 256, 14, 1, 1, 0),
              (256, 256, 14, 3, 1, 1), (512, 512, 14, 3, 2, 1), (512, 2048, 7, 1, 1, 0),
              (2048, 512, 7, 1, 1, 0), (512, 512, 7, 3, 1, 1)]
    vgg = [(3, 64, 224, 3, 1, 1), (64, 64, 224, 3, 1, 1), (64, 128, 112, 3, 1, 1),
           (128, 256, 56, 3, 1, 1), (256, 256, 56, 3, 1, 1), (512, 512, 28, 3, 1, 1),
           (512, 512, 14, 3, 1, 1)]
    shapes = [('resnet50', 64) + s + ('bf16',) for s in resnet]
    shapes += [('net', batch) + s + ('f32',) for s in net for batch in (64, 1024)]
    shapes += [('vgg16', 32) + s + ('bf16',) for s in vgg]
    shapes += [('resnet50', 64) + s + ('f32',) for s in resnet[1:20:3]]
    shapes += [('vgg16', 32) + s + ('f32',) for s in vgg[1:6:2]]
    shapes += [('resnet50', 64) + s + ('tf32',) for s in resnet[1:20:6]]
    return shapes


def convolution(b, until):
    backward = torch.ops.aten.convolution_backward
    for model, batch, cin, cout, size, kernel, stride, pad, dtype in b.rows(
            'convolution', convolution_shapes(b.o.fast), until):
        b.precision(dtype)
        order = torch.contiguous_format if model == 'net' else torch.channels_last
        new = lambda *s: torch.randn(*s, device=b.o.device, dtype=TYPES[dtype]).contiguous(
            memory_format=order)
        out = (size + 2 * pad - kernel) // stride + 1
        bytes_ = batch * (cin * size ** 2 + cout * out ** 2) * TYPES[dtype].itemsize
        def make():
            x, w = new(batch, cin, size, size), new(cout, cin, kernel, kernel)
            dy = new(batch, cout, out, out)
            way = [stride] * 2, [pad] * 2, [1, 1], False, [0, 0], 1
            return (lambda: F.conv2d(x, w, None, stride, pad),
                    lambda: backward(dy, x, w, None, *way, [True, False, False]),
                    lambda: backward(dy, x, w, None, *way, [False, True, False]))
        trios = [make() for _ in range(sets_of(2 * bytes_))]
        for i, what in enumerate(('forward', 'dx', 'dw')):
            if what == 'dx' and cin in (1, 3):
                continue
            times = b.timed([t[i] for t in trios], 40)
            b.emit(part='convolution', model=model, dtype=dtype, what=what, batch=batch,
                   inputs=cin, outputs=cout, size=size, kernel=kernel, stride=stride, pad=pad,
                   **three(times))
