// Attention of a few queries that see the same past. Keys and values are read once for all of them.
//
// Whatever stands beside a query, its scores and sums are computed in one order: that of the slots it sees.
#pragma once

#include "simd.h"

namespace spear {

#if defined(__AVX512F__) || defined(__aarch64__)
constexpr int kTogether = 4;
#elif defined(__AVX2__)
constexpr int kTogether = 2;
#else
constexpr int kTogether = 1;
#endif

// How a cache keeps a slot of `width` keys or values: numbers from one slot to the next, and what to multiply them by.
template <class KV>
struct Slot {
    static constexpr bool scaled = false;
    static constexpr int step(int width) { return width; }
    static float scale(const KV *, int) { return 1.0f; }
};

template <>
struct Slot<Byte> {
    static constexpr bool scaled = true;
    static constexpr int step(int width) { return width + 4; }
    static float scale(const Byte *slot, int width) {
        float scale;
        std::memcpy(&scale, slot + width, sizeof scale);
        return scale;
    }
};

// What a query sees: slots 0 .. past - 1, then those of `own`. In this order they are the positions of its path, so its
// sums run in one order whether they lie in a draft with branches or in a plain sequence.
struct Seen {
    int past, extra;
    const int32_t *own;
    int count() const { return past + extra; }
    int64_t slot(int place) const { return place < past ? place : own[place - past]; }
};

// One query, room for its scores (up to three more than it sees are written), where its answer goes, and what the score
// of each place gets added, if anything.
struct Query {
    const float *q;
    Seen seen;
    float *scores;
    float *out;
    const float *added = nullptr;
};

// q . k of Q queries and four keys. C: the width where the compiler knows it, else 0.
template <class KV, int C, int Q>
static inline void score_four(const Query *queries, const KV *const k[4], int known, int place) {
    const int width = C ? C : known;
    Vec total[Q][4];
    for (int n = 0; n < Q; ++n)
        for (int i = 0; i < 4; ++i) total[n][i] = Vec{};
    int at = 0;
    for (; at + kWidth <= width; at += kWidth) {
        Vec key[4];
        for (int i = 0; i < 4; ++i) key[i] = load(k[i] + at);
        for (int n = 0; n < Q; ++n) {
            const Vec in = load(queries[n].q + at);
            for (int i = 0; i < 4; ++i) total[n][i] = fma(in, key[i], total[n][i]);
        }
    }
    for (int n = 0; n < Q; ++n) {
        float *scores = queries[n].scores + place;
        sums(total[n][0], total[n][1], total[n][2], total[n][3], scores);
        for (int rest = at; rest < width; ++rest)
            for (int i = 0; i < 4; ++i) scores[i] += queries[n].q[rest] * widen(k[i][rest]);
        if (Slot<KV>::scaled)
            for (int i = 0; i < 4; ++i) scores[i] *= Slot<KV>::scale(k[i], width);
    }
}

template <class KV, int C, int Q>
static inline void score_all(const Query *queries, const KV *keys, int known) {
    const int width = C ? C : known, step = Slot<KV>::step(width), past = queries[0].seen.past;
    int place = 0;
    const KV *next = keys;
    for (; place + 4 <= past; place += 4, next += 4 * step) {
        const KV *const k[4] = {next, next + step, next + 2 * step, next + 3 * step};
        score_four<KV, C, Q>(queries, k, width, place);
    }
    for (int n = 0; n < Q; ++n) {
        const Seen &seen = queries[n].seen;
        for (int rest = place; rest < seen.count(); rest += 4) {
            const KV *k[4];
            for (int i = 0; i < 4; ++i) {
                const int there = rest + i < seen.count() ? rest + i : seen.count() - 1;
                k[i] = keys + seen.slot(there) * step;
            }
            score_four<KV, C, 1>(queries + n, k, width, rest);
        }
    }
}

// scores[place] = q . k[slot(place)] of Q queries that see the same past.
template <class KV, int Q>
static inline void score(const Query *queries, const KV *keys, int width) {
    if (width == 64) score_all<KV, 64, Q>(queries, keys, width);
    else score_all<KV, 0, Q>(queries, keys, width);
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

// Columns [at, at + P kWidth) of out = factor * sum of scores[place] * v[slot(place)], even and odd places apart.
template <class KV, int P, int Q>
static inline void blend_columns(const Query *queries, const KV *values, int at, int width, const float *factors) {
    Vec even[Q][P], odd[Q][P];
    for (int n = 0; n < Q; ++n)
        for (int j = 0; j < P; ++j) even[n][j] = odd[n][j] = Vec{};
    const int past = queries[0].seen.past, step = Slot<KV>::step(width);
    int place = 0;
    const KV *next = values;
    for (; place + 2 <= past; place += 2, next += 2 * step) {
        Vec v[P], u[P];
        for (int j = 0; j < P; ++j) v[j] = load(next + at + j * kWidth), u[j] = load(next + step + at + j * kWidth);
        const float first = Slot<KV>::scale(next, width), second = Slot<KV>::scale(next + step, width);
        for (int n = 0; n < Q; ++n) {
            const Vec p = splat(queries[n].scores[place] * first), q = splat(queries[n].scores[place + 1] * second);
            for (int j = 0; j < P; ++j) {
                even[n][j] = fma(p, v[j], even[n][j]);
                odd[n][j] = fma(q, u[j], odd[n][j]);
            }
        }
    }
    for (int n = 0; n < Q; ++n) {
        const Seen &seen = queries[n].seen;
        for (int rest = place; rest < seen.count(); ++rest) {
            const KV *v = values + seen.slot(rest) * step;
            const Vec p = splat(queries[n].scores[rest] * Slot<KV>::scale(v, width));
            Vec *total = rest % 2 ? odd[n] : even[n];
            for (int j = 0; j < P; ++j) total[j] = fma(p, load(v + at + j * kWidth), total[j]);
        }
        for (int j = 0; j < P; ++j)
            store(queries[n].out + at + j * kWidth, (even[n][j] + odd[n][j]) * splat(factors[n]));
    }
}

template <class KV, int Q>
static inline void blend(const Query *queries, const KV *values, int width, const float *factors) {
    constexpr int wide = Q == 1 ? 4 : 2;
    int at = 0;
    for (; at + wide * kWidth <= width; at += wide * kWidth)
        blend_columns<KV, wide, Q>(queries, values, at, width, factors);
    for (; at + kWidth <= width; at += kWidth) blend_columns<KV, 1, Q>(queries, values, at, width, factors);
    for (; at < width; ++at) {
        for (int n = 0; n < Q; ++n) {
            float total = 0.0f;
            for (int place = 0; place < queries[n].seen.count(); ++place) {
                const KV *v = values + queries[n].seen.slot(place) * Slot<KV>::step(width);
                total += queries[n].scores[place] * Slot<KV>::scale(v, width) * widen(v[at]);
            }
            queries[n].out[at] = total * factors[n];
        }
    }
}

template <class KV, int Q>
static void attend_together(const Query *queries, const KV *keys, const KV *values, int width) {
    score<KV, Q>(queries, keys, width);
    for (int n = 0; n < Q; ++n)
        if (const float *added = queries[n].added)
            for (int place = 0; place < queries[n].seen.count(); ++place) queries[n].scores[place] += added[place];
    float factors[Q];
    for (int n = 0; n < Q; ++n) factors[n] = 1.0f / soften(queries[n].scores, 0, queries[n].seen.count());
    blend<KV, Q>(queries, values, width, factors);
}

// Values weighed by the softmax of q . k, for up to kTogether queries that see the same past.
template <class KV>
static inline void attend(const Query *queries, int count, const KV *keys, const KV *values, int width) {
    switch (count) {
        case 1: attend_together<KV, 1>(queries, keys, values, width); break;
#if defined(__AVX512F__) || defined(__aarch64__)
        case 3: attend_together<KV, 3>(queries, keys, values, width); break;
        case 4: attend_together<KV, 4>(queries, keys, values, width); break;
#endif
        default: attend_together<KV, 2>(queries, keys, values, width);
    }
}

}  // namespace spear
