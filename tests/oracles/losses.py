"""Slow independent references: NumPy and loops over images, classes, channels and pairs, straight from the formulas."""

import math
from itertools import pairwise, product

import numpy as np

Array = np.ndarray


def softmax(z, temperature=1.0):
    powers = [math.exp(value / temperature) for value in z]
    return np.array([power / sum(powers) for power in powers])


def kl(p, q):
    return sum(a * math.log(a / b) for a, b in zip(p, q) if a > 0)


def pearson(x, y):
    return np.corrcoef(x, y)[0, 1]


def unit(x):
    return x / np.linalg.norm(x)


def mean_over_images(function, *arrays):
    return sum(function(*row) for row in zip(*arrays)) / len(arrays[0])


def pooled(x, size):
    """Adaptive average pooling of ``(..., H, W)`` by its definition."""
    (height, width), (new_height, new_width) = x.shape[-2:], size
    out = np.zeros((*x.shape[:-2], new_height, new_width))
    for i, j in product(range(new_height), range(new_width)):
        rows = slice(i * height // new_height, -(-(i + 1) * height // new_height))
        columns = slice(j * width // new_width, -(-(j + 1) * width // new_width))
        out[..., i, j] = x[..., rows, columns].mean((-2, -1))
    return out


def at_one_size(x, y):
    size = (min(x.shape[-2], y.shape[-2]), min(x.shape[-1], y.shape[-1]))
    return pooled(x, size), pooled(y, size)


def kd(s, t, labels, temperature=4.0):
    return temperature**2 * mean_over_images(
        lambda a, b: kl(softmax(b, temperature), softmax(a, temperature)), s.logits, t.logits
    )


def dkd(s, t, labels, alpha=1.0, beta=8.0, temperature=4.0):
    def one(a, b, label):
        p, q = softmax(a, temperature), softmax(b, temperature)
        target = kl([q[label], 1 - q[label]], [p[label], 1 - p[label]])
        rest = kl(np.delete(q, label) / (1 - q[label]), np.delete(p, label) / (1 - p[label]))
        return alpha * target + beta * rest

    return temperature**2 * mean_over_images(one, s.logits, t.logits, labels)


def dist(s, t, labels, beta=1.0, gamma=1.0, temperature=1.0):
    p, q = (np.array([softmax(row, temperature) for row in x.logits]) for x in (s, t))
    rows = np.mean([pearson(a, b) for a, b in zip(p, q)])
    columns = np.mean([pearson(a, b) for a, b in zip(p.T, q.T)])
    return temperature**2 * (beta * (1 - rows) + gamma * (1 - columns))


def wsld(s, t, labels, temperature=2.0):
    def one(a, b, label):
        hard = -math.log(softmax(a)[label]), -math.log(softmax(b)[label])
        soft = -sum(softmax(b, temperature) * np.log(softmax(a, temperature)))
        return (1 - math.exp(-hard[0] / (hard[1] + 1e-7))) * soft

    return temperature**2 * mean_over_images(one, s.logits, t.logits, labels)


def ofa(s, t, labels, eps=1.5, temperature=1.0):
    def one(a, b, label):
        p, q = softmax(a, temperature), softmax(b, temperature)
        hit = [float(c == label) for c in range(len(p))]
        return -sum(((q[c] + hit[c]) ** eps - hit[c]) * math.log(p[c]) for c in range(len(p)))

    return mean_over_images(one, s.logits, t.logits, labels)


def fitnet(s, t, labels):
    one, other = at_one_size(s.features, t.features)
    return np.mean([(one[i] - other[i]) ** 2 for i in np.ndindex(one.shape)])


def fitnet_embedding(s, t, labels):
    return np.mean([(s.embedding[i] - t.embedding[i]) ** 2 for i in np.ndindex(s.embedding.shape)])


def at(s, t, labels):
    def attention(maps):
        return unit(sum(channel**2 for channel in maps).ravel() / len(maps))

    total = 0.0
    for one, other in (at_one_size(*stage) for stage in zip(s.stages, t.stages)):
        total += mean_over_images(lambda a, b: sum((attention(a) - attention(b)) ** 2), one, other)
    return total


def similarities(features):
    size = len(features)
    gram = [[np.sum(features[i] * features[j]) for j in range(size)] for i in range(size)]
    return np.array([unit(np.array(row)) for row in gram])


def sp(s, t, labels):
    one, other = similarities(s.features), similarities(t.features)
    return sum((one[i] - other[i]) ** 2 for i in np.ndindex(one.shape)) / len(one) ** 2


def ickd(s, t, labels):
    total = sum(np.sum((similarities(a) - similarities(b)) ** 2) for a, b in zip(s.features, t.features))
    return total / s.features.shape[0] / s.features.shape[1]


def huber(x, y):
    return 0.5 * (x - y) ** 2 if abs(x - y) < 1 else abs(x - y) - 0.5


def rkd(s, t, labels, distance=25.0, angle=50.0):
    size = len(s.embedding)
    pairs = list(product(range(size), repeat=2))

    def distances(f):
        lengths = {(i, j): np.linalg.norm(f[i] - f[j]) for i, j in pairs}
        mean = np.mean([length for length in lengths.values() if length > 0])
        return {key: length / mean for key, length in lengths.items()}

    def cosine(f, i, j, k):
        return 0.0 if j in (i, k) else float(unit(f[i] - f[j]) @ unit(f[k] - f[j]))

    one, other = distances(s.embedding), distances(t.embedding)
    first = np.mean([huber(one[key], other[key]) for key in pairs])
    triples = product(range(size), repeat=3)
    second = np.mean([huber(cosine(s.embedding, *key), cosine(t.embedding, *key)) for key in triples])
    return distance * first + angle * second


def cc(s, t, labels, gamma=0.4, order=2):
    def kernel(f, i, j):
        cosine = unit(f[i]) @ unit(f[j])
        return math.exp(-2 * gamma) * sum((2 * gamma * cosine) ** p / math.factorial(p) for p in range(order + 1))

    size = len(s.embedding)
    pairs = product(range(size), repeat=2)
    return sum((kernel(s.embedding, *key) - kernel(t.embedding, *key)) ** 2 for key in pairs) / size**2


def cc_neighbours(s, t, labels):
    error = abs(s.embedding - t.embedding)
    return np.mean([error[i] @ error[i + 1] for i in range(len(error) - 1)])


def pkt(s, t, labels):
    def probabilities(f):
        kernel = np.array([[(unit(a) @ unit(b) + 1) / 2 for b in f] for a in f])
        return np.array([row / sum(row) for row in kernel])

    one, other = probabilities(s.embedding), probabilities(t.embedding)
    return np.mean([other[i] * math.log((other[i] + 1e-7) / (one[i] + 1e-7)) for i in np.ndindex(one.shape)])


def nst(s, t, labels):
    def mean_kernel(a, b):
        return np.mean([(unit(x.ravel()) @ unit(y.ravel())) ** 2 for x, y in product(a, b)])

    total = 0.0
    for one, other in (at_one_size(*stage) for stage in zip(s.stages, t.stages)):
        total += mean_over_images(
            lambda a, b: mean_kernel(a, a) + mean_kernel(b, b) - 2 * mean_kernel(a, b), one, other
        )
    return total


def kdsvd(s, t, labels, rank=1):
    def vectors(maps, count):
        _, values, right = np.linalg.svd(maps.reshape(len(maps), -1).T)
        return unit(values[:count]), list(right[:count])

    def aligned(a, b):
        values, teacher = vectors(b, rank)
        teacher = [v * np.sign(v[np.argmax(abs(v))]) for v in teacher]
        own = vectors(a, rank + 3)[1]
        nearest = [max(own, key=lambda u, v=v: abs(u @ v)) for v in teacher]
        return (
            [value * u * np.sign(u @ v) for value, u, v in zip(values, nearest, teacher)],
            [value * v for value, v in zip(values, teacher)],
        )

    total = 0.0
    for i in range(len(s.stages[0])):
        stages = [aligned(a[i], b[i]) for a, b in zip(s.stages, t.stages)]
        for (before_s, before_t), (after_s, after_t) in pairwise(stages):
            for k in range(rank):
                for c, d in product(range(len(after_s[k])), range(len(before_s[k]))):
                    one = math.exp(-((after_s[k][c] - before_s[k][d]) ** 2) / 8)
                    other = math.exp(-((after_t[k][c] - before_t[k][d]) ** 2) / 8)
                    total += (one - other) ** 2
    return total / len(s.stages[0])


def fsp(s, t, labels):
    def flow(a, b):
        a, b = at_one_size(a, b)
        return np.array([[np.mean(x * y) for y in b] for x in a])

    total = 0.0
    for i, low in product(range(len(s.stages[0])), range(len(s.stages) - 1)):
        one, other = (flow(x.stages[low][i], x.stages[low + 1][i]) for x in (s, t))
        total += np.sum((one - other) ** 2)
    return total / len(s.stages[0])


def fsp_mean(s, t, labels):
    """Entry by entry: every pair of channels of two consecutive stages, and the mean over pairs and images."""
    total = 0.0
    for low in range(len(s.stages) - 1):
        gaps = []
        for i in range(len(s.stages[0])):
            flows = []
            for x in (s, t):
                a, b = at_one_size(x.stages[low][i], x.stages[low + 1][i])
                flows.append([sum((p * q).ravel()) / p.size for p in a for q in b])
            gaps += [(one - other) ** 2 for one, other in zip(*flows)]
        total += sum(gaps) / len(gaps)
    return total


def crd(s, t, labels, temperature=0.07):
    size = len(s.embedding)
    scores = np.array([[unit(a) @ unit(b) / temperature for b in t.embedding] for a in s.embedding])
    return -np.mean([math.log(softmax(scores[i])[i]) + math.log(softmax(scores[:, i])[i]) for i in range(size)])


def srrl(s, t, labels, feature=1.0, regression=1.0):
    """With the bias and the logits, as the paper writes it."""
    one, other = s.features.mean((2, 3)), t.features.mean((2, 3))
    bias = t.logits[0] / 2 - t.classifier @ other[0]
    read = np.array([t.classifier @ row + bias for row in one])
    return feature * np.mean((one - other) ** 2) + regression * np.mean((read - t.logits / 2) ** 2)


def review(s, t, labels):
    total = 0.0
    for one, other in (at_one_size(*stage) for stage in zip(s.stages, t.stages)):
        parts, weight, weights = np.mean((one - other) ** 2), 1.0, 1.0
        for level in (4, 2, 1):
            if level < one.shape[2]:
                weight /= 2
                weights += weight
                difference = pooled(one, (level, level)) - pooled(other, (level, level))
                parts += weight * np.mean(difference**2)
        total += parts / weights
    return total


def cwd(s, t, labels, temperature=4.0):
    one, other = at_one_size(s.features, t.features)
    total = 0.0
    for i, c in product(*map(range, one.shape[:2])):
        total += kl(softmax(other[i, c].ravel(), temperature), softmax(one[i, c].ravel(), temperature))
    return temperature**2 * total / one.shape[0] / one.shape[1]


def pkd(s, t, labels):
    one, other = at_one_size(s.features, t.features)
    return np.mean([1 - pearson(one[:, c].ravel(), other[:, c].ravel()) for c in range(one.shape[1])])


def nd(s, t, labels):
    def one(a, b, label):
        centre = np.mean([row for row, y in zip(t.embedding, labels) if y == label], axis=0)
        return 1 - a @ unit(centre) / max(np.linalg.norm(a), np.linalg.norm(b))

    return mean_over_images(one, s.embedding, t.embedding, labels)


def cka_gap(s, t, labels):
    """By covariances of the features, not by kernels of the images."""
    one, other = (x.embedding - x.embedding.mean(0) for x in (s, t))

    def hsic(a, b):
        return np.linalg.norm(a.T @ b) ** 2

    return 1 - hsic(one, other) / math.sqrt(hsic(one, one) * hsic(other, other))


def sharpness_gap(s, t, labels):
    return mean_over_images(lambda a, b: math.log(sum(np.exp(a))) - math.log(sum(np.exp(b))), s.logits, t.logits)


def sharpness_gap_abs(s, t, labels):
    return abs(sharpness_gap(s, t, labels))


diswot_relation = sp


def diswot_relation_paper(s, t, labels):
    def gram(features):
        size = len(features)
        return unit(np.array([[np.sum(features[i] * features[j]) for j in range(size)] for i in range(size)]))

    return np.linalg.norm(gram(s.features) - gram(t.features)) / len(s.features) ** 2


def diswot_semantic(s, t, labels):
    """With every C×C matrix formed, from a gradient found by summing over the images."""

    def gradient(x):
        errors = [softmax(z) - np.eye(len(z))[y] for z, y in zip(x.logits, labels)]
        return sum(np.outer(error, f) for error, f in zip(errors, x.embedding)) / len(labels)

    def rows(g):
        return np.array([unit(row) for row in np.outer(g, g)])

    one, other = gradient(s), gradient(t)
    return sum(np.sum((rows(a) - rows(b)) ** 2) for a, b in zip(one, other)) / one.size


def diswot_semantic_cam(s, t, labels):
    """With the class activation maps formed."""

    def similarity(x):
        maps = [np.concatenate([sum(w[c] * f[c] for c in range(len(w))) for f in x.features]) for w in x.classifier]
        return unit(np.array([[np.sum(a * b) for b in maps] for a in maps]))

    return np.linalg.norm(similarity(s) - similarity(t)) / len(s.classifier) ** 2


def diswot(s, t, labels):
    return diswot_semantic(s, t, labels) + diswot_relation(s, t, labels)


def diswot_distillation(s, t, labels):
    return diswot_semantic_cam(s, t, labels) + diswot_relation_paper(s, t, labels)
