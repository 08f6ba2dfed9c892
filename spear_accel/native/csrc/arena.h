// Memory of the activations: kept by each thread from call to call, so that no call allocates.
#pragma once

#include <cstdint>
#include <cstdlib>

namespace spear {

constexpr int kPanel = 16;

static inline int64_t padded(int64_t n) { return (n + kPanel - 1) / kPanel * kPanel; }

// Memory that a thread keeps from call to call; it only grows.
class Arena {
  public:
    ~Arena() { std::free(base_); }

    // Room for `numbers` floats, aligned for any vector; NULL where there is no memory.
    float *room(int64_t numbers) {
        if (numbers > size_) {
            std::free(base_);
            size_ = 0;
            void *fresh = nullptr;
            if (posix_memalign(&fresh, 64, (size_t)(numbers + numbers / 2) * sizeof(float))) fresh = nullptr;
            base_ = (float *)fresh;
            if (base_) size_ = numbers + numbers / 2;
        }
        return base_;
    }

  private:
    float *base_ = nullptr;
    int64_t size_ = 0;
};

// What a call computes with; what it reads in eight bits; and what each thread of it needs for one query.
inline thread_local Arena activations, rounded, scratch;

}  // namespace spear
