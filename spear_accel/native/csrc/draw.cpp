// Draws by noise: the highest of logits / temperature + noise at every position, and those that follow it.

#include "arena.h"
#include "simd.h"
#include "step.h"

namespace spear {
namespace {

// numbers [vocab, up to a whole vector] = logits * factor + noise, -inf at `banned`; whether one of them is none.
bool add_noise(const float *logits, float factor, const float *noise, int vocab, int64_t banned, float *numbers) {
    Vec wrong{};
    int at = 0;
    for (; at + kWidth <= vocab; at += kWidth) {
        Vec x = load(logits + at) * splat(factor);
        if (noise) x = x + load(noise + at);
        store(numbers + at, x);
        // A number that is none differs from itself.
        wrong = wrong + (x == x ? Vec{} : splat(1.0f));
    }
    bool broken = sum(wrong) > 0.0f;
    for (; at < vocab; ++at) {
        numbers[at] = logits[at] * factor + (noise ? noise[at] : 0.0f);
        broken |= numbers[at] != numbers[at];
    }
    for (; at % kWidth; ++at) numbers[at] = -INFINITY;
    if (banned >= 0) numbers[banned] = -INFINITY;
    return broken;
}

// Where the highest of `numbers` is; ties go to the lower token.
int64_t highest(const float *numbers, int vocab) {
    Vec most = splat(-INFINITY);
    for (int at = 0; at < vocab; at += kWidth) {
        const Vec x = load(numbers + at);
        most = x > most ? x : most;
    }
    float best = most[0];
    for (int lane = 1; lane < kWidth; ++lane) best = most[lane] > best ? most[lane] : best;
    for (int at = 0; at < vocab; ++at)
        if (numbers[at] == best) return at;
    return 0;
}

}  // namespace
}  // namespace spear

using namespace spear;

int32_t spear_draw(const SpearDraw *draw) {
    float *numbers = scratch.room(padded(draw->vocab));
    if (!numbers) return SPEAR_NO_MEMORY;
    for (int64_t i = 0; i < (int64_t)draw->rows * draw->count; ++i) {
        const int64_t row = i / draw->count, place = draw->places[i % draw->count];
        const float *noise = draw->noise ? draw->noise + row * draw->noise_row + place * draw->noise_place : nullptr;
        const int64_t banned = draw->banned && draw->banned[i] ? draw->banned_token : -1;
        float *scores = draw->scores + i * draw->best;
        int64_t *tokens = draw->tokens + i * draw->best;
        const bool broken =
            add_noise(draw->logits + i * draw->vocab, draw->factors[row], noise, draw->vocab, banned, numbers);
        for (int k = 0; k < draw->best; ++k) {
            tokens[k] = highest(numbers, draw->vocab);
            scores[k] = numbers[tokens[k]];
            numbers[tokens[k]] = -INFINITY;
        }
        if (broken) tokens[0] = -1;
    }
    return SPEAR_OK;
}
