#!/usr/bin/env python3
"""Losses and gradients of layers and losses in float64 from torch, for TestLayersAsTorch.
usage: python make_layers.py > layers.json     (needs torch)"""
import json, torch
import torch.nn.functional as F
torch.set_num_threads(1); torch.set_default_dtype(torch.float64); torch.manual_seed(5)

def flat(t): return [float(v) for v in t.detach().reshape(-1)]
cases = []

def case(name, config, x, params, forward, loss, y):
    x = x.clone().requires_grad_(x.is_floating_point())
    ps = [p.clone().requires_grad_() for p in params]
    l = loss(forward(x, *ps), y); l.backward()
    cases.append({"Name": name, "Config": config, "N": x.shape[0], "X": flat(x), "Y": flat(y), "Params": [flat(p) for p in ps], "Loss": l.item(),
        "Grads": [flat(p.grad) for p in ps], "InputGrad": flat(x.grad) if x.grad is not None else None})

def L(kind, **kw): return {"Kind": kind, **kw}
R = torch.randn
mse = {"Kind": "mean-squared"}
case("conv", {"Input": [2, 6, 7], "Layers": [L("conv2d", Units=3, Kernel=3, Stride=1, Activation="relu")], "Loss": mse},
     R(3, 2, 6, 7), [R(3, 2, 3, 3), R(3)], lambda x, w, b: torch.relu(F.conv2d(x, w, b)), F.mse_loss, R(3, 3, 4, 5))
case("conv stride padding", {"Input": [2, 7, 8], "Layers": [L("conv2d", Units=4, Kernel=3, Stride=2, Padding=1, Activation="tanh")], "Loss": mse},
     R(3, 2, 7, 8), [R(4, 2, 3, 3), R(4)], lambda x, w, b: torch.tanh(F.conv2d(x, w, b, stride=2, padding=1)), F.mse_loss, R(3, 4, 4, 4))
case("conv wide padding", {"Input": [2, 6, 5], "Layers": [L("conv2d", Units=2, Kernel=4, Stride=2, Padding=3)], "Loss": mse},
     R(2, 2, 6, 5), [R(2, 2, 4, 4), R(2)], lambda x, w, b: F.conv2d(x, w, b, stride=2, padding=3), F.mse_loss, R(2, 2, 5, 4))
case("conv same", {"Input": [2, 4, 5], "Layers": [L("conv2d", Units=3, Kernel=3, Stride=1, Padding=1)], "Loss": mse},
     R(3, 2, 4, 5), [R(3, 2, 3, 3), R(3)], lambda x, w, b: F.conv2d(x, w, b, padding=1), F.mse_loss, R(3, 3, 4, 5))
case("conv same, wider than the image", {"Input": [1, 4, 2], "Layers": [L("conv2d", Units=2, Kernel=7, Stride=1, Padding=3)], "Loss": mse},
     R(3, 1, 4, 2), [R(2, 1, 7, 7), R(2)], lambda x, w, b: F.conv2d(x, w, b, padding=3), F.mse_loss, R(3, 2, 4, 2))
case("max pool", {"Input": [2, 7, 6], "Layers": [L("maxpool", Kernel=2, Stride=2)], "Loss": mse},
     R(3, 2, 7, 6), [], lambda x: F.max_pool2d(x, 2), F.mse_loss, R(3, 2, 3, 3))
case("avg pool", {"Input": [2, 7, 6], "Layers": [L("avgpool", Kernel=3, Stride=2)], "Loss": mse},
     R(3, 2, 7, 6), [], lambda x: F.avg_pool2d(x, 3, 2), F.mse_loss, R(3, 2, 3, 2))
case("embedding", {"Input": [4], "Layers": [L("embedding", Rows=6, Units=3)], "Loss": mse},
     torch.randint(0, 6, (3, 4)), [R(6, 3)], lambda x, w: F.embedding(x, w), F.mse_loss, R(3, 4, 3))
case("layer norm", {"Input": [4, 5], "Layers": [L("layernorm", Epsilon=1e-5)], "Loss": mse},
     R(3, 4, 5), [R(5), R(5)], lambda x, w, b: F.layer_norm(x, (5,), w, b), F.mse_loss, R(3, 4, 5))
dense = lambda x, w, b: x @ w + b
def d(units, activation=""): return [L("dense", Units=units, Activation=activation)]
case("mean squared", {"Input": [5], "Layers": d(3), "Loss": mse}, R(4, 5), [R(5, 3), R(3)], dense, F.mse_loss, R(4, 3))
case("huber", {"Input": [5], "Layers": d(3), "Loss": {"Kind": "huber", "Delta": 0.8}}, R(4, 5), [R(5, 3), R(3)], dense,
     lambda z, y: F.huber_loss(z, y, delta=0.8), R(4, 3))
case("logits, binary", {"Input": [5], "Layers": d(2), "Loss": {"Kind": "binary-cross-entropy-of-logits"}}, R(4, 5), [R(5, 2), R(2)], dense,
     F.binary_cross_entropy_with_logits, torch.rand(4, 2))
case("sigmoid, binary", {"Input": [5], "Layers": d(2, "sigmoid"), "Loss": {"Kind": "binary-cross-entropy"}}, R(4, 5), [R(5, 2), R(2)],
     lambda *a: torch.sigmoid(dense(*a)), F.binary_cross_entropy, torch.rand(4, 2))
case("probabilities, binary", {"Input": [5], "Layers": d(2, "sigmoid") + [L("flatten")], "Loss": {"Kind": "binary-cross-entropy"}}, R(4, 5), [R(5, 2), R(2)],
     lambda *a: torch.sigmoid(dense(*a)), F.binary_cross_entropy, torch.rand(4, 2))
case("logits, distributions", {"Input": [5], "Layers": d(4), "Loss": {"Kind": "cross-entropy-of-logits"}}, R(3, 5), [R(5, 4), R(4)], dense,
     F.cross_entropy, torch.softmax(R(3, 4), 1))
case("softmax, classes", {"Input": [5], "Layers": d(4, "softmax"), "Loss": {"Kind": "cross-entropy"}}, R(3, 5), [R(5, 4), R(4)], dense,
     F.cross_entropy, torch.tensor([3, 0, 1]))
print(json.dumps(cases))
