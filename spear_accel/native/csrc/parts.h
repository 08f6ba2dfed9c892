// What a layer consists of beside linear maps: norms, activations, rotary positions, attention.
#pragma once

#include "simd.h"
#include "step.h"

namespace spear {

static inline float dot_self(const float *x, int n) {
    Vec total{};
    int i = 0;
    for (; i + kWidth <= n; i += kWidth) total = fma(load(x + i), load(x + i), total);
    float all = sum(total);
    for (; i < n; ++i) all += x[i] * x[i];
    return all;
}

static inline float plain_sum(const float *x, int n) {
    Vec total{};
    int i = 0;
    for (; i + kWidth <= n; i += kWidth) total = total + load(x + i);
    float all = sum(total);
    for (; i < n; ++i) all += x[i];
    return all;
}

static inline void normalise(const SpearNorm &norm, const float *x, float *y, int n) {
    float factor;
    if (norm.centred) {
        const float mean = plain_sum(x, n) / (float)n;
        for (int i = 0; i < n; ++i) y[i] = x[i] - mean;
        factor = 1.0f / std::sqrt(dot_self(y, n) / (float)n + norm.eps);
        x = y;
    } else {
        const float rms = std::sqrt(dot_self(x, n) / (float)n);
        // A NaN is kept: it compares as false.
        factor = 1.0f / (rms < norm.eps ? norm.eps : rms);
    }
    for (int i = 0; i < n; ++i) y[i] = x[i] * factor * norm.gain[i];
    if (norm.bias)
        for (int i = 0; i < n; ++i) y[i] += norm.bias[i];
}

// x * Phi(x). erf(|z|) is 1 - exp(-|z| g(|z|)), g a polynomial fitted on [0, 4]: 1.3e-7 from the true value at most.
static inline Vec gelu(Vec x) {
    const Vec z = x * splat(0.70710678f);
    Vec a = z < Vec{} ? -z : z;
    a = a > splat(4.0f) ? splat(4.0f) : a;
    Vec g = splat(-4.88662408e-6f);
    g = fma(g, a, splat(7.50290201e-5f));
    g = fma(g, a, splat(-4.66047932e-4f));
    g = fma(g, a, splat(1.32853782e-3f));
    g = fma(g, a, splat(2.23406532e-4f));
    g = fma(g, a, splat(-1.93969179e-2f));
    g = fma(g, a, splat(0.102860086f));
    g = fma(g, a, splat(0.636606514f));
    g = fma(g, a, splat(1.12837982f));
    const Vec rest = exponential(-(a * g));
    // Phi: 1 - rest / 2 above zero, rest / 2 below.
    const Vec phi = z < Vec{} ? splat(0.5f) * rest : splat(1.0f) - splat(0.5f) * rest;
    return x * phi;
}

// x [C] by interleaved pairs, turned by cosines and sines [C / 2, 2] (NULL: left as it is), times `scale`.
template <class Out>
static inline void rotate(const float *x, const float *turn, float scale, Out *y, int n) {
    if (!turn) {
        for (int i = 0; i < n; ++i) narrow(x[i] * scale, y[i]);
        return;
    }
    for (int i = 0; i < n; i += 2) {
        const float a = x[i], b = x[i + 1], c = turn[i], s = turn[i + 1];
        narrow((a * c - b * s) * scale, y[i]);
        narrow((a * s + b * c) * scale, y[i + 1]);
    }
}

// What one query sees: slots 0 .. past - 1, then those of `own`. In this order they are the positions of its path, so
// its sums run in one order whether they lie in a draft with branches or in a plain sequence.
struct Seen {
    int past, extra;
    const int32_t *own;
    int count() const { return past + extra; }
    int64_t slot(int place) const { return place < past ? place : own[place - past]; }
};

// q . k of four keys. C: the width where the compiler knows it, else 0.
template <class KV, int C>
static inline void score_four(const float *q, const KV *const k[4], int known, float *scores) {
    const int width = C ? C : known;
    Vec a{}, b{}, c{}, d{};
    int at = 0;
    for (; at + kWidth <= width; at += kWidth) {
        const Vec in = load(q + at);
        a = fma(in, load(k[0] + at), a);
        b = fma(in, load(k[1] + at), b);
        c = fma(in, load(k[2] + at), c);
        d = fma(in, load(k[3] + at), d);
    }
    sums(a, b, c, d, scores);
    for (; at < width; ++at)
        for (int i = 0; i < 4; ++i) scores[i] += q[at] * widen(k[i][at]);
}

template <class KV, int C>
static inline void score_all(const float *q, const KV *keys, const Seen &seen, float *scores, int known) {
    const int width = C ? C : known, count = seen.count();
    int place = 0;
    const KV *next = keys;
    for (; place + 4 <= seen.past; place += 4, next += 4 * width) {
        const KV *const k[4] = {next, next + width, next + 2 * width, next + 3 * width};
        score_four<KV, C>(q, k, width, scores + place);
    }
    for (; place < count; place += 4) {
        const KV *k[4];
        for (int i = 0; i < 4; ++i) k[i] = keys + seen.slot(place + i < count ? place + i : count - 1) * width;
        score_four<KV, C>(q, k, width, scores + place);
    }
}

// scores[place] = q . k[slot(place)]; behind the last up to three more are written.
template <class KV>
static inline void score(const float *q, const KV *keys, const Seen &seen, float *scores, int width) {
    if (width == 64) score_all<KV, 64>(q, keys, seen, scores, width);
    else score_all<KV, 0>(q, keys, seen, scores, width);
}

// scores -> exp(score - highest), zeros behind the last up to a whole vector; returns their sum.
static inline float soften(float *scores, int first, int count) {
    float highest = scores[first];
    for (int place = first; place < count; ++place) highest = scores[place] > highest ? scores[place] : highest;
    const int end = (count + kWidth - 1) / kWidth * kWidth;
    for (int place = count; place < end; ++place) scores[place] = 0.0f;
    Vec total{};
    const Vec top = splat(highest);
    for (int place = first / kWidth * kWidth; place < end; place += kWidth) {
        Vec e = exponential(load(scores + place) - top);
        store(scores + place, e);
        if (place < first || place + kWidth > count) {
            for (int i = 0; i < kWidth; ++i)
                if (place + i < first || place + i >= count) scores[place + i] = 0.0f;
            e = load(scores + place);
        }
        total = total + e;
    }
    return sum(total);
}

// out[c] = sum of weights[place] * v[slot(place)][c], even and odd places apart, then times `factor`.
template <class KV, int P>
static inline void blend_columns(const float *weights, const KV *values, const Seen &seen, int width, float factor,
                                 float *out) {
    Vec even[P], odd[P];
    for (int j = 0; j < P; ++j) even[j] = odd[j] = Vec{};
    const int count = seen.count();
    int place = 0;
    const auto two = [&](const KV *v, const KV *u) {
        const Vec p = splat(weights[place]), q = splat(weights[place + 1]);
        for (int j = 0; j < P; ++j) {
            even[j] = fma(p, load(v + j * kWidth), even[j]);
            odd[j] = fma(q, load(u + j * kWidth), odd[j]);
        }
    };
    const KV *next = values;
    for (; place + 2 <= seen.past; place += 2, next += 2 * width) two(next, next + width);
    for (; place + 2 <= count; place += 2)
        two(values + seen.slot(place) * width, values + seen.slot(place + 1) * width);
    if (place < count) {
        const KV *v = values + seen.slot(place) * width;
        const Vec p = splat(weights[place]);
        for (int j = 0; j < P; ++j) even[j] = fma(p, load(v + j * kWidth), even[j]);
    }
    for (int j = 0; j < P; ++j) store(out + j * kWidth, (even[j] + odd[j]) * splat(factor));
}

template <class KV>
static inline void blend(const float *weights, const KV *values, const Seen &seen, int width, float factor,
                         float *out) {
    int at = 0;
    for (; at + 4 * kWidth <= width; at += 4 * kWidth)
        blend_columns<KV, 4>(weights, values + at, seen, width, factor, out + at);
    for (; at + kWidth <= width; at += kWidth)
        blend_columns<KV, 1>(weights, values + at, seen, width, factor, out + at);
    for (; at < width; ++at) {
        float total = 0.0f;
        for (int place = 0; place < seen.count(); ++place)
            total += weights[place] * widen(values[seen.slot(place) * width + at]);
        out[at] = total * factor;
    }
}

}  // namespace spear
