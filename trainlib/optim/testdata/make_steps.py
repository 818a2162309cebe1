#!/usr/bin/env python3
"""Parameters after each of some steps of torch's optimisers in float64, for TestStepsAsTorch.
usage: python make_steps.py > steps.json     (needs torch)"""
import json, torch
torch.set_num_threads(1); torch.set_default_dtype(torch.float64); torch.manual_seed(7)
N, STEPS = 12, 6
w0 = torch.randn(N); grads = [torch.randn(N) for _ in range(STEPS)]
O = torch.optim
adam = {"Kind": "adam", "Beta1": .8, "Beta2": .95, "Epsilon": 1e-8}
rms = {"Kind": "rmsprop", "Alpha": .9, "Epsilon": 1e-8}
CASES = [ # spec but for Rate; torch's class and arguments
    ({"Kind": "sgd", "WeightDecay": .1}, O.SGD, dict(weight_decay=.1)),
    ({"Kind": "sgd", "Momentum": .9, "WeightDecay": .1}, O.SGD, dict(momentum=.9, weight_decay=.1)),
    ({"Kind": "sgd", "Momentum": .9, "Dampening": .3}, O.SGD, dict(momentum=.9, dampening=.3)),
    ({"Kind": "sgd", "Momentum": .9, "Nesterov": True, "WeightDecay": .1}, O.SGD, dict(momentum=.9, nesterov=True, weight_decay=.1)),
    ({"Kind": "adagrad", "Epsilon": 1e-10, "WeightDecay": .1}, O.Adagrad, dict(weight_decay=.1)),
    ({**rms, "WeightDecay": .1}, O.RMSprop, dict(alpha=.9, weight_decay=.1)),
    ({**rms, "Momentum": .7, "WeightDecay": .1}, O.RMSprop, dict(alpha=.9, momentum=.7, weight_decay=.1)),
    ({**rms, "Centered": True, "WeightDecay": .1}, O.RMSprop, dict(alpha=.9, centered=True, weight_decay=.1)),
    ({**adam, "WeightDecay": .1}, O.Adam, dict(betas=(.8, .95), weight_decay=.1)),
    ({**adam, "WeightDecay": .1, "AMSGrad": True}, O.Adam, dict(betas=(.8, .95), weight_decay=.1, amsgrad=True)),
    ({**adam, "Kind": "adamw", "WeightDecay": .1}, O.AdamW, dict(betas=(.8, .95), weight_decay=.1)),
    ({**adam, "Kind": "adamw", "WeightDecay": .1, "AMSGrad": True}, O.AdamW, dict(betas=(.8, .95), weight_decay=.1, amsgrad=True)),
    ({**adam, "ClipNorm": 2.}, O.Adam, dict(betas=(.8, .95))),
    ({"Kind": "sgd", "Schedule": {"Shape": "cosine", "Total": 5, "Floor": .1}}, O.SGD, {}),
    ({**adam, "Kind": "adamw", "WeightDecay": .1, "Schedule": {"Shape": "step", "Every": 2, "Factor": .5}}, O.AdamW, dict(betas=(.8, .95), weight_decay=.1)),
]
out = []
for spec, cls, kw in CASES:
    rate = .05; p = w0.clone().requires_grad_(); opt = cls([p], lr=rate, foreach=False, **kw); after = []
    s = spec.get("Schedule"); sched = None
    if s: sched = O.lr_scheduler.StepLR(opt, s["Every"], s["Factor"]) if s["Shape"] == "step" else O.lr_scheduler.CosineAnnealingLR(opt, s["Total"], rate * s["Floor"])
    for g in grads[:5]:
        p.grad = g.clone()
        if "ClipNorm" in spec: torch.nn.utils.clip_grad_norm_([p], spec["ClipNorm"])
        opt.step(); after.append(p.tolist())
        if sched: sched.step()
    out.append({"Spec": {**spec, "Rate": rate}, "After": after})
print(json.dumps({"W": w0.tolist(), "Grads": [g.tolist() for g in grads], "Cases": out}))
