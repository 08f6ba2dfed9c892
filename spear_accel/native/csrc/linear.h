// Linear maps with packed weights: panels of 16 outputs, [outputs / 16][inputs][16]; of bytes [outputs / 16][inputs /
// kDepth][16][kDepth].
//
// Every output is one lane that sums over the inputs in their order, whatever stands beside it: its bits depend neither
// on the number of tokens nor on how the work is cut up.
#pragma once

#include <algorithm>
#include <type_traits>

#include "arena.h"
#include "bytes.h"
#include "pool.h"
#include "simd.h"
#include "step.h"

namespace spear {

constexpr int kParts = kPanel / kWidth;

enum Finish { kStore, kAdd };

static inline int panels_of(const SpearLinear &map) { return (map.outputs + kPanel - 1) / kPanel; }

// What a map reads: `count` rows of numbers, `step` apart; for a map of bytes the same rounded, and each row's scale.
struct Rows {
    const float *x;
    int64_t step;
    int count;
    const Rounded *bytes = nullptr;
    int64_t width = 0;
    const float *scales = nullptr;

    Rows from(int first, int number) const {
        return {x + first * step, step, number, bytes + first * width, width, scales + first};
    }
};

// `total` of one output lane group, finished and put where it belongs.
static inline void leave(const SpearLinear &map, Vec total, int64_t at, float *out, Finish finish) {
    if (map.bias) total = total + load(map.bias + at);
    store(out, finish == kAdd ? load(out) + total : total);
}

template <class W, int R, int P>
static inline void multiply(const SpearLinear &map, const Rows &rows, int panel, float *y, int64_t stride,
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
            const Vec in = splat(rows.x[r * rows.step + k]);
            for (int j = 0; j < P * kParts; ++j) total[r][j] = fma(in, weight[j], total[r][j]);
        }
    }
    for (int j = 0; j < P * kParts; ++j) {
        const int64_t at = (int64_t)panel * kPanel + j * kWidth;
        for (int r = 0; r < R; ++r) leave(map, total[r][j], at, y + r * stride + at, finish);
    }
}

template <int R, int P>
static inline void multiply_bytes(const SpearLinear &map, const Rows &rows, int panel, float *y, int64_t stride,
                                  Finish finish) {
    const int64_t next = rows.width * kPanel;
    const int8_t *w = (const int8_t *)map.weights + panel * next;
    Ints total[R][P * kParts];
    for (int r = 0; r < R; ++r)
        for (int j = 0; j < P * kParts; ++j) total[r][j] = Ints{};
    for (int64_t k = 0; k < rows.width; k += kDepth, w += kDepth * kPanel) {
        ByteWeights weight[P * kParts];
        for (int p = 0; p < P; ++p)
            for (int j = 0; j < kParts; ++j) weight[p * kParts + j] = load_bytes(w + p * next + j * kWidth * kDepth);
        for (int r = 0; r < R; ++r) {
            const int32_t in = spread(rows.bytes + r * rows.width + k);
            for (int j = 0; j < P * kParts; ++j) total[r][j] = dot(total[r][j], in, weight[j]);
        }
    }
    for (int j = 0; j < P * kParts; ++j) {
        const int64_t at = (int64_t)panel * kPanel + j * kWidth;
        Ints sums;
        std::memcpy(&sums, map.sums + at, sizeof sums);
        for (int r = 0; r < R; ++r) {
            const Vec exact = __builtin_convertvector(total[r][j] - sums * kOffset, Vec);
            leave(map, exact * load(map.scale + at) * splat(rows.scales[r]), at, y + r * stride + at, finish);
        }
    }
}

template <class W, int R>
static void few_rows(const SpearLinear &map, const Rows &rows, int panel, int end, float *y, int64_t stride,
                     Finish finish) {
    constexpr int most = kAccumulators / (R * kParts);
    constexpr int wide = most >= 8 ? 8 : most >= 4 ? 4 : most >= 2 ? 2 : 1;
    if constexpr (std::is_same<W, int8_t>::value) {
        for (; panel + wide <= end; panel += wide) multiply_bytes<R, wide>(map, rows, panel, y, stride, finish);
        for (; panel < end; ++panel) multiply_bytes<R, 1>(map, rows, panel, y, stride, finish);
    } else {
        for (; panel + wide <= end; panel += wide) multiply<W, R, wide>(map, rows, panel, y, stride, finish);
        for (; panel < end; ++panel) multiply<W, R, 1>(map, rows, panel, y, stride, finish);
    }
}

template <class W>
static void rows_times_panels(const SpearLinear &map, const Rows &rows, int panel, int end, float *y, int64_t stride,
                              Finish finish) {
    const int blocks = (rows.count + kRowBlock - 1) / kRowBlock;
    // Two panels at a time stay in the nearest cache while all rows pass by.
    const int group = blocks > 1 ? 2 : end - panel;
    for (; panel < end; panel += group) {
        const int last = std::min(end, panel + group);
        for (int b = 0; b < blocks; ++b) {
            const int first = rows.count * b / blocks, count = rows.count * (b + 1) / blocks - first;
            const Rows in = rows.from(first, count);
            float *out = y + first * stride;
            switch (count) {
                case 1: few_rows<W, 1>(map, in, panel, last, out, stride, finish); break;
                case 2: few_rows<W, 2>(map, in, panel, last, out, stride, finish); break;
#if !defined(__x86_64__) || defined(__AVX2__)
                case 3: few_rows<W, 3>(map, in, panel, last, out, stride, finish); break;
                case 4: few_rows<W, 4>(map, in, panel, last, out, stride, finish); break;
                case 5: few_rows<W, 5>(map, in, panel, last, out, stride, finish); break;
                case 6: few_rows<W, 6>(map, in, panel, last, out, stride, finish); break;
#endif
#if defined(__AVX512F__)
                case 7: few_rows<W, 7>(map, in, panel, last, out, stride, finish); break;
                case 8: few_rows<W, 8>(map, in, panel, last, out, stride, finish); break;
#endif
            }
        }
    }
}

// Panels [panel, end) of y [rows, stride].
static inline void linear(const SpearLinear &map, const Rows &rows, int panel, int end, float *y, int64_t stride,
                          Finish finish) {
    switch (map.precision) {
        case SPEAR_BFLOAT16: rows_times_panels<BFloat16>(map, rows, panel, end, y, stride, finish); break;
        case SPEAR_INT8: rows_times_panels<int8_t>(map, rows, panel, end, y, stride, finish); break;
        default: rows_times_panels<float>(map, rows, panel, end, y, stride, finish);
    }
}

// x [count, step] as `map`, and every map of as many inputs in its precision, reads it; good until the thread's next call
// of this. NULL for x: no memory.
static inline Rows rows_for(Team &team, const SpearLinear &map, const float *x, int64_t step, int count) {
    Rows rows{x, step, count};
    if (map.precision != SPEAR_INT8) return rows;
    rows.width = rounded_width(map.inputs);
    const int64_t scales = padded(count);
    float *room = rounded.room(scales + (rows.width * (int64_t)sizeof(Rounded) * count + 3) / 4);
    if (!room) return {nullptr, step, count};
    Rounded *bytes = (Rounded *)(room + scales);
    team.ranges(count, 8, [&](int first, int end) {
        for (int i = first; i < end; ++i) room[i] = round_row(x + i * step, map.inputs, bytes + i * rows.width);
    });
    rows.bytes = bytes, rows.scales = room;
    return rows;
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

// y [count, stride] from x [count, step]; false where there is no memory.
static inline bool linear(Team &team, const SpearLinear &map, const float *x, int64_t step, int count, float *y,
                          int64_t stride, Finish finish) {
    const Rows rows = rows_for(team, map, x, step, count);
    if (!rows.x) return false;
    each_piece(team, panels_of(map), count,
               [&](int panel, int end) { linear(map, rows, panel, end, y, stride, finish); });
    return true;
}

}  // namespace spear
