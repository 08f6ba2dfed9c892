// Threads of the native step's own: they spin for a moment between two pieces of work and then sleep.
//
// A step is a sequence of loops. Of each, threads take pieces one at a time, the caller among them: it never waits for
// a helper that has not taken a piece, so a helper that the system has put aside costs nothing.
#pragma once

#include <pthread.h>
#include <sched.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

namespace spear {

static inline void pause() {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("yield");
#endif
}

class Pool {
  public:
    typedef void (*Piece)(void *context, int number);

    // The pool of this process; a child after `fork` gets one of its own, because it has none of the threads.
    static Pool &own() {
        static std::once_flag once;
        std::call_once(once, [] {
            current().store(new Pool);
            pthread_atfork(nullptr, nullptr, [] { current().store(new Pool); });
        });
        return *current().load();
    }

    // One caller at a time; another one computes alone.
    bool enter(int threads) {
        if (threads < 2 || !busy_.try_lock()) return false;
        while ((int)helpers_ < threads - 1) {
            try {
                std::thread(&Pool::help, this, (int)helpers_).detach();
            } catch (...) {
                break;
            }
            ++helpers_;
        }
        allowed_.store(threads - 1, std::memory_order_relaxed);
        open_.store(true);
        if (sleepers_.load() > 0) {
            std::lock_guard<std::mutex> guard(sleep_);
            wake_.notify_all();
        }
        return true;
    }

    void leave() {
        open_.store(false);
        busy_.unlock();
    }

    // Run pieces 0 .. count - 1, in any order.
    void run(Piece piece, void *context, int count) {
        piece_ = piece;
        context_ = context;
        done_.store(0, std::memory_order_relaxed);
        generation_ = (generation_ + 1) & 0xFFFFFFFFu;
        ticket_.store(generation_ << 32 | (uint64_t)count << 16, std::memory_order_release);
        int number;
        while ((number = take()) >= 0) {
            piece(context, number);
            done_.fetch_add(1, std::memory_order_release);
        }
        for (int spins = 0; done_.load(std::memory_order_acquire) < count; ++spins) {
            if (spins < kBusy) pause();
            else sched_yield();
        }
    }

    static constexpr int kMost = 0xFFFF;

  private:
    static constexpr int kBusy = 2000;  // Tens of microseconds.
    static constexpr int kIdle = 200;

    static std::atomic<Pool *> &current() {
        static std::atomic<Pool *> pool{nullptr};
        return pool;
    }

    // The number of the next piece, or -1. A ticket holds a loop's number, how many pieces it has and the next one, so
    // that a thread which comes late takes a piece of the present loop or none.
    int take() {
        uint64_t ticket = ticket_.load(std::memory_order_acquire);
        while ((ticket & 0xFFFF) < (ticket >> 16 & 0xFFFF)) {
            if (ticket_.compare_exchange_weak(ticket, ticket + 1, std::memory_order_acq_rel)) return ticket & 0xFFFF;
        }
        return -1;
    }

    void help(int index) {
        for (int idle = 0;;) {
            int number = index < allowed_.load(std::memory_order_relaxed) ? take() : -1;
            if (number >= 0) {
                piece_(context_, number);
                done_.fetch_add(1, std::memory_order_release);
                idle = 0;
            } else if (++idle < kBusy) {
                pause();
            } else if (open_.load() || idle < kBusy + kIdle) {
                sched_yield();
            } else {
                std::unique_lock<std::mutex> guard(sleep_);
                sleepers_.fetch_add(1);
                wake_.wait(guard, [this] { return open_.load(); });
                sleepers_.fetch_sub(1);
                idle = 0;
            }
        }
    }

    std::mutex busy_, sleep_;
    std::condition_variable wake_;
    std::atomic<int> sleepers_{0}, allowed_{0}, done_{0};
    std::atomic<bool> open_{false};
    std::atomic<uint64_t> ticket_{0};
    uint64_t generation_ = 0;
    int helpers_ = 0;
    Piece piece_ = nullptr;
    void *context_ = nullptr;
};

// The caller's share of the pool for one step.
class Team {
  public:
    explicit Team(int threads) : pool_(Pool::own()), shared_(pool_.enter(threads)), threads(shared_ ? threads : 1) {}
    ~Team() {
        if (shared_) pool_.leave();
    }
    Team(const Team &) = delete;
    Team &operator=(const Team &) = delete;

    template <class F>
    void each(int count, F &&body) {
        if (!shared_ || count < 2) {
            for (int number = 0; number < count; ++number) body(number);
            return;
        }
        pool_.run([](void *context, int number) { (*(typename std::remove_reference<F>::type *)context)(number); },
                  (void *)&body, count);
    }

    // The same over 0 .. count - 1, in pieces of some length: body(first, end).
    template <class F>
    void ranges(int count, int least, F &&body) {
        int pieces = count / least;
        if (pieces > 4 * threads) pieces = 4 * threads;
        if (pieces < 2) {
            body(0, count);
            return;
        }
        each(pieces, [&](int n) {
            body((int)((int64_t)count * n / pieces), (int)((int64_t)count * (n + 1) / pieces));
        });
    }

  private:
    Pool &pool_;
    bool shared_;

  public:
    const int threads;
};

}  // namespace spear
