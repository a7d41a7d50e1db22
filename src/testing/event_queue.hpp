/// The discrete-event heap of a simulation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace levee::testing_detail {

/// What happens, to whom, when. Of two at one moment, what was scheduled first happens first.
struct event {
    std::int64_t at;
    std::uint64_t order_kind_subject;  // 34, 3 and 27 bits: one comparison orders them

    [[nodiscard]] std::uint32_t subject() const noexcept {
        return static_cast<std::uint32_t>(order_kind_subject & ((std::uint64_t{1} << 27) - 1));
    }
    [[nodiscard]] unsigned kind() const noexcept {
        return static_cast<unsigned>(order_kind_subject >> 27 & 7);
    }
    [[nodiscard]] bool before(const event& other) const noexcept {
        return at != other.at ? at < other.at : order_kind_subject < other.order_kind_subject;
    }
};

/// A 4-ary min-heap of events in one array: shallow, and a parent's children share a cache line.
class event_queue {
public:
    static constexpr std::uint32_t most_subjects = std::uint32_t{1} << 27;

    void push(std::int64_t at, unsigned kind, std::uint32_t subject) {
        const event made{at, order_++ << 30 | std::uint64_t{kind} << 27 | subject};
        std::size_t hole = heap_.size();
        heap_.push_back(made);
        while (hole > 0) {
            const std::size_t parent = (hole - 1) / 4;
            if (!made.before(heap_[parent])) {
                break;
            }
            heap_[hole] = heap_[parent];
            hole = parent;
        }
        heap_[hole] = made;
    }

    [[nodiscard]] bool empty() const noexcept { return heap_.empty(); }
    [[nodiscard]] const event& top() const noexcept { return heap_.front(); }

    event pop() {
        const event first = heap_.front();
        const event last = heap_.back();
        heap_.pop_back();
        const std::size_t size = heap_.size();
        if (size > 0) {
            std::size_t hole = 0;
            for (;;) {
                const std::size_t child = 4 * hole + 1;
                if (child >= size) {
                    break;
                }
                std::size_t least = child;
                const std::size_t end = child + 4 < size ? child + 4 : size;
                for (std::size_t other = child + 1; other < end; ++other) {
                    least = heap_[other].before(heap_[least]) ? other : least;
                }
                if (!heap_[least].before(last)) {
                    break;
                }
                heap_[hole] = heap_[least];
                hole = least;
            }
            heap_[hole] = last;
        }
        return first;
    }

private:
    std::vector<event> heap_;
    std::uint64_t order_ = 0;
};

}  // namespace levee::testing_detail
