# SPDX-License-Identifier: MIT
# The numbers of README.md, by PyTorch: python3 make.py writes numbers.f8 beside itself, and prints
# how far PyTorch in float32 is from them.
import math, os, struct, torch
from torch import nn
from torch.nn import functional as F

BATCH, CLASSES, SIZE, WIDTH, STEPS, RATE, MOMENTUM = 16, 10, 32, 8, 2, 0.01, 0.9
MASK = (1 << 64) - 1


class Stream:
    def __init__(self, seed): self.state = seed

    def next(self):
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return z ^ (z >> 31)

    def symmetric(self): return 2.0 * ((self.next() >> 40) / 16777216.0) - 1.0


def round32(x): return struct.unpack("<f", struct.pack("<f", x))[0]


# Blocks with the names, and the order, of torchvision's.
class Block(nn.Module):
    def __init__(self, inputs, width, outputs, stride, bottleneck):
        super().__init__()
        if bottleneck:
            self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(width)
            self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(width)
            self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
            self.bn3 = nn.BatchNorm2d(outputs)
        else:
            self.conv1 = nn.Conv2d(inputs, width, 3, stride, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(width)
            self.conv2 = nn.Conv2d(width, outputs, 3, 1, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False),
                                            nn.BatchNorm2d(outputs))
        self.bottleneck = bottleneck

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        if self.bottleneck: y = self.bn3(self.conv3(F.relu(y)))
        return F.relu(y + (self.downsample(x) if self.downsample else x))


class ResNet(nn.Module):
    def __init__(self, blocks, bottleneck, width=64, classes=1000):
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        inputs = width
        for stage, count in enumerate(blocks):
            inner, layers = width << stage, []
            for i in range(count):
                outputs = inner * (4 if bottleneck else 1)
                stride = 2 if stage and not i else 1
                layers.append(Block(inputs, inner, outputs, stride, bottleneck))
                inputs = outputs
            setattr(self, "layer%d" % (stage + 1), nn.Sequential(*layers))
        self.fc = nn.Linear(inputs, classes)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))


NETS = [([2, 2, 2, 2], False), ([3, 4, 6, 3], True)]  # ResNet-18, ResNet-50


# Where a layer convolves or is linear s / sqrt(fan_in), the bias of fc too.
def initialise(net, stream):
    for name, p in net.named_parameters():
        fan_in = p[0].numel()
        for i in range(p.numel()):
            s = stream.symmetric()
            if p.dim() > 1: value = s / math.sqrt(fan_in)
            elif name.endswith("weight"): value = 1 + 0.2 * s
            elif name == "fc.bias": value = s / math.sqrt(net.fc.in_features)
            else: value = 0.1 * s
            p.data.view(-1)[i] = round32(value)


def run(blocks, bottleneck, dtype):
    stream = Stream(5005)
    labels = torch.tensor([(stream.next() >> 33) % CLASSES for _ in range(BATCH)])
    pixels = [round32(stream.symmetric()) for _ in range(BATCH * 3 * SIZE * SIZE)]
    x = torch.tensor(pixels, dtype=dtype).view(BATCH, 3, SIZE, SIZE)
    net = ResNet(blocks, bottleneck, WIDTH, CLASSES).to(dtype)
    initialise(net, stream)
    optimiser = torch.optim.SGD(net.parameters(), RATE, MOMENTUM)
    out, weigh = [], Stream(6006)
    for step in range(STEPS):
        logits = net(x)
        loss = F.cross_entropy(logits, labels)
        optimiser.zero_grad()
        loss.backward()
        if step == 0: out += logits.detach().double().view(-1).tolist()
        out.append(loss.item())
        for p in net.parameters() if step == 0 else ():
            g = p.grad.double().view(-1)
            c = torch.tensor([weigh.symmetric() for _ in range(g.numel())], dtype=torch.float64)
            out += [g.norm().item(), (g * c).sum().item()]
        optimiser.step()
    net.eval()
    return out + net(x).detach().double().view(-1).tolist()


def main():
    torch.set_num_threads(1)
    for blocks, bottleneck in NETS:
        whole = ResNet(blocks, bottleneck)
        print(blocks, sum(p.numel() for p in whole.parameters()), "parameters")
    numbers = []
    for net in NETS:
        wide, narrow = run(*net, torch.float64), run(*net, torch.float32)
        tensors = (len(wide) - 2 * BATCH * CLASSES - STEPS) // 2
        n = BATCH * CLASSES
        apart = [abs(a - b) for a, b in zip(wide, narrow)]
        norms = wide[n + 1:n + 1 + 2 * tensors:2]
        gradients = [a / b for a, b in zip(apart[n + 2:n + 2 + 2 * tensors:2], norms)]
        print(tensors, "tensors; float32 is off by", max(apart[:n]), "in a logit,",
              max(apart[n], apart[n + 1 + 2 * tensors]), "in a loss,", max(gradients),
              "of its norm in a gradient,", max(apart[-n:]), "in a logit of the evaluation")
        numbers += wide
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "numbers.f8"), "wb") as f:
        f.write(struct.pack("<%dd" % len(numbers), *numbers))


main()
