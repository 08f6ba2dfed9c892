// What a layer consists of beside linear maps and attention: norms, activations, rotary positions.
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

// y may be x.
static inline void normalise(const SpearNorm &norm, const float *x, float *y, int n) {
    float factor;
    if (!norm.gain) {
        if (x != y) std::memcpy(y, x, n * sizeof(float));
        return;
    }
    if (norm.kind == SPEAR_LAYER) {
        const float mean = plain_sum(x, n) / (float)n;
        for (int i = 0; i < n; ++i) y[i] = x[i] - mean;
        factor = 1.0f / std::sqrt(dot_self(y, n) / (float)n + norm.eps);
        x = y;
    } else if (norm.kind == SPEAR_RMS_EPS) {
        factor = 1.0f / std::sqrt(dot_self(x, n) / (float)n + norm.eps);
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

// x / (1 + exp(-exponent)).
static inline Vec logistic(Vec x, Vec exponent) { return x / (splat(1.0f) + exponential(-exponent)); }

// One of SPEAR_GELU and its kin. A NaN is kept.
static inline Vec activate(int kind, Vec x) {
    if (kind == SPEAR_RELU) return x < Vec{} ? Vec{} : x;
    if (kind == SPEAR_SILU) return logistic(x, x);
    // (1 + tanh(u)) / 2 is 1 / (1 + exp(-2 u)).
    if (kind == SPEAR_GELU_TANH) return logistic(x, x * (splat(1.59576912f) + splat(0.0713548163f) * x * x));
    return gelu(x);
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

}  // namespace spear
