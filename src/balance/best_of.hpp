/// Comparing endpoints: all of them, or a few drawn at random by weight.
#pragma once

#include "balance/weighted_table.hpp"
#include "levee/balance/strategy.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace levee::balance_detail {

/// Calls `f` for each admitted candidate, beginning where this thread's turn is, so that the first of
/// equals is not always the same.
template <class F>
void for_all(pick_view& view, F&& f) {
    const auto count = static_cast<std::uint32_t>(view.size());
    const std::uint32_t first = view.turn(count);
    for (std::uint32_t i = first; i < count; ++i) {
        if (view.admits(view[i])) {
            f(view[i]);
        }
    }
    for (std::uint32_t i = 0; i < first; ++i) {
        if (view.admits(view[i])) {
            f(view[i]);
        }
    }
}

/// A random index; by weight if there is a table.
inline std::size_t draw(pick_view& view, const weighted_table& table) noexcept {
    if (!table.is_even()) {
        return table.find(view.random());
    }
    __extension__ using u128 = unsigned __int128;
    return static_cast<std::size_t>((static_cast<u128>(view.random()) * view.size()) >> 64U);
}

/// Whether `draw_pair` may be used: nothing is weighted or passed over.
inline bool is_simple_pair(const pick_view& view, const weighted_table& table,
                           std::uint32_t choices) noexcept {
    return choices == 2 && table.is_even() && !view.is_restricted() && view.size() > 2;
}

/// Two different ones from the halves of one random number. Sets are far smaller than 2^32.
inline std::pair<const candidate*, const candidate*> draw_pair(pick_view& view) noexcept {
    const std::uint64_t bits = view.random();
    const std::uint64_t count = view.size();
    const std::uint64_t first = ((bits >> 32U) * count) >> 32U;
    std::uint64_t second = ((bits & 0xffffffffU) * (count - 1)) >> 32U;
    second += second >= first ? 1 : 0;
    return {&view[first], &view[second]};
}

/// `b` if `is_second`, else `a`, without a branch: nothing could predict it.
inline const candidate* choose(const candidate* a, const candidate* b, bool is_second) noexcept {
    const auto first = reinterpret_cast<std::uintptr_t>(a);
    const auto second = reinterpret_cast<std::uintptr_t>(b);
    const auto mask = std::uintptr_t{0} - static_cast<std::uintptr_t>(is_second);
    // NOLINTNEXTLINE(performance-no-int-to-ptr): one of the two addresses, whole
    return reinterpret_cast<const candidate*>(first ^ ((first ^ second) & mask));
}

/// Calls `f` for `choices` different candidates drawn at random; for all that are admitted where drawing
/// does not find enough of them.
template <class F>
void for_some(pick_view& view, const weighted_table& table, std::uint32_t choices, F&& f) {
    if (is_simple_pair(view, table, choices)) [[likely]] {
        const auto [first, second] = draw_pair(view);
        f(*first);
        f(*second);
        return;
    }
    constexpr std::uint32_t most = 16;
    const candidate* drawn[most];
    choices = (std::min)(choices, most);
    if (choices >= view.size()) {
        for_all(view, f);
        return;
    }
    std::uint32_t count = 0;
    for (std::uint32_t tries = 0; count < choices; ++tries) {
        if (tries == 4 * choices) [[unlikely]] {
            if (count == 0) {
                for_all(view, f);
                return;
            }
            break;
        }
        const candidate* const one = &view[draw(view, table)];
        if (!view.admits(*one) || std::find(drawn, drawn + count, one) != drawn + count) {
            continue;
        }
        drawn[count++] = one;
    }
    for (std::uint32_t i = 0; i < count; ++i) {
        f(*drawn[i]);
    }
}

}  // namespace levee::balance_detail
