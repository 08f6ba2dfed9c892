// Linear maps with packed weights: panels of 16 outputs, [outputs / 16][inputs][16].
//
// Every output is one lane that sums over the inputs in their order, whatever stands beside it: its bits depend neither
// on the number of tokens nor on how the work is cut up.
#pragma once

#include <algorithm>

#include "pool.h"
#include "simd.h"
#include "step.h"

namespace spear {

constexpr int kPanel = 16;
constexpr int kParts = kPanel / kWidth;

enum Finish { kStore, kAdd };

static inline int panels_of(const SpearLinear &map) { return (map.outputs + kPanel - 1) / kPanel; }

template <class W, int R, int P>
static inline void multiply(const SpearLinear &map, const float *x, int64_t step, int panel, float *y, int64_t stride,
                            Finish finish) {
    const int inputs = map.inputs;
    const W *w = (const W *)map.weights + (int64_t)panel * inputs * kPanel;
    const int64_t next = (int64_t)inputs * kPanel;
    Vec total[R][P * kParts];
    for (int r = 0; r < R; ++r)
        for (int j = 0; j < P * kParts; ++j) total[r][j] = Vec{};
    for (int k = 0; k < inputs; ++k, w += kPanel) {
        Vec weight[P * kParts];
        for (int p = 0; p < P; ++p)
            for (int j = 0; j < kParts; ++j) weight[p * kParts + j] = load(w + p * next + j * kWidth);
        for (int r = 0; r < R; ++r) {
            const Vec in = splat(x[r * step + k]);
            for (int j = 0; j < P * kParts; ++j) total[r][j] = fma(in, weight[j], total[r][j]);
        }
    }
    for (int j = 0; j < P * kParts; ++j) {
        const int64_t at = (int64_t)panel * kPanel + j * kWidth;
        for (int r = 0; r < R; ++r) {
            Vec v = total[r][j];
            if (map.scale) v = v * load(map.scale + at);
            if (map.bias) v = v + load(map.bias + at);
            float *out = y + r * stride + at;
            store(out, finish == kAdd ? load(out) + v : v);
        }
    }
}

template <class W, int R>
static void few_rows(const SpearLinear &map, const float *x, int64_t step, int panel, int end, float *y,
                     int64_t stride, Finish finish) {
    constexpr int most = kAccumulators / (R * kParts);
    constexpr int wide = most >= 8 ? 8 : most >= 4 ? 4 : most >= 2 ? 2 : 1;
    for (; panel + wide <= end; panel += wide) multiply<W, R, wide>(map, x, step, panel, y, stride, finish);
    for (; panel < end; ++panel) multiply<W, R, 1>(map, x, step, panel, y, stride, finish);
}

template <class W>
static void rows_times_panels(const SpearLinear &map, const float *x, int64_t step, int tokens, int panel, int end,
                              float *y, int64_t stride, Finish finish) {
    const int blocks = (tokens + kRowBlock - 1) / kRowBlock;
    // Two panels at a time stay in the nearest cache while all rows pass by.
    const int group = blocks > 1 ? 2 : end - panel;
    for (; panel < end; panel += group) {
        const int last = std::min(end, panel + group);
        for (int b = 0; b < blocks; ++b) {
            const int first = tokens * b / blocks, count = tokens * (b + 1) / blocks - first;
            const float *in = x + first * step;
            float *out = y + first * stride;
            switch (count) {
                case 1: few_rows<W, 1>(map, in, step, panel, last, out, stride, finish); break;
                case 2: few_rows<W, 2>(map, in, step, panel, last, out, stride, finish); break;
#if !defined(__x86_64__) || defined(__AVX2__)
                case 3: few_rows<W, 3>(map, in, step, panel, last, out, stride, finish); break;
                case 4: few_rows<W, 4>(map, in, step, panel, last, out, stride, finish); break;
                case 5: few_rows<W, 5>(map, in, step, panel, last, out, stride, finish); break;
                case 6: few_rows<W, 6>(map, in, step, panel, last, out, stride, finish); break;
#endif
#if defined(__AVX512F__)
                case 7: few_rows<W, 7>(map, in, step, panel, last, out, stride, finish); break;
                case 8: few_rows<W, 8>(map, in, step, panel, last, out, stride, finish); break;
#endif
            }
        }
    }
}

// Panels [panel, end) of y [tokens, stride] from x [tokens, step].
static inline void linear(const SpearLinear &map, const float *x, int64_t step, int tokens, int panel, int end,
                          float *y, int64_t stride, Finish finish) {
    switch (map.precision) {
        case SPEAR_BFLOAT16: rows_times_panels<BFloat16>(map, x, step, tokens, panel, end, y, stride, finish); break;
        case SPEAR_INT8: rows_times_panels<int8_t>(map, x, step, tokens, panel, end, y, stride, finish); break;
        default: rows_times_panels<float>(map, x, step, tokens, panel, end, y, stride, finish);
    }
}

// How many panels a thread takes at a time: as many as can be multiplied at once, but work for every thread.
static inline int piece_of(int panels, int tokens, int threads) {
    const int share = tokens == 1 ? panels / threads : panels / (2 * threads);
    return share >= 8 ? 8 : share >= 4 ? 4 : share >= 2 ? 2 : 1;
}

// body(first panel, end) over all panels of a map, by all threads.
template <class F>
static inline void each_piece(Team &team, int panels, int tokens, F &&body) {
    const int piece = piece_of(panels, tokens, team.threads);
    team.each((panels + piece - 1) / piece,
              [&](int n) { body(n * piece, std::min(panels, (n + 1) * piece)); });
}

static inline void linear(Team &team, const SpearLinear &map, const float *x, int64_t step, int tokens, float *y,
                          int64_t stride, Finish finish) {
    each_piece(team, panels_of(map), tokens,
               [&](int panel, int end) { linear(map, x, step, tokens, panel, end, y, stride, finish); });
}

}  // namespace spear
