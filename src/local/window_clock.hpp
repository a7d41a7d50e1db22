/// Window, admission and main part: which entry goes, given how the cache is divided.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "levee/local/detail/entry_weights.hpp"
#include "local/entry_queue.hpp"
#include "local/key_history.hpp"

namespace levee::local_detail {

/// How a cache is divided, and who is let into its main part.
struct admission {
    double window_share;  ///< Of the amount held, in (0, 1).
    unsigned margin;      ///< A candidate's count must be above its rival's by more than this.
    unsigned trusted;     ///< A rival's count above this counts as this: older fame is not believed.
};

/// A FIFO window with second chance before a CLOCK main part, with TinyLFU admission in between (after
/// Einziger, Friedman, Manes, "TinyLFU", TOS 2017; the lists lazily promoted as in FIFO-Reinsertion and
/// S3-FIFO: Yang and others, SOSP 2023).
///
/// New entries come into the window. The oldest of the window goes another round if it was used, and else
/// must beat the main part's victim: the less often asked for of the two is evicted. Counts are exact for
/// what is in the cache, and remembered in a `key_history` for what is not. Nothing here is touched by a hit.
///
/// `Link` is the type of ids; its greatest value is no id. `host` in calls answers for entries:
/// `take_reference(id)`, `hash_of(id)` as in `policy_host`.
///
/// Thread safety: distinct objects: safe; shared: unsafe.
template <class Link>
class window_clock {
public:
    static constexpr Link none = entry_queue<Link>::none;
    /// Bounds of the work of one `victim`: entries looked at in the window, and in the main part.
    static constexpr unsigned most_moves = 16, most_chances = 8;
    /// See `refuses`: times the average weight, and requests.
    static constexpr double heavy = 2.0;
    static constexpr unsigned always_let_in = 4;
    static constexpr std::size_t fewest_to_judge = 8;  ///< Entries: fewer say nothing of an average.

    /// `weights`: where weights are found, if entries have any; null: in here.
    explicit window_clock(std::uint64_t seed, const entry_weights* weights = nullptr) noexcept
        : shared_weights_(weights), history_(seed) {}

    /// Ids below `limit` may come. `weighted`: entries have weights besides their number (stays so).
    /// Errors: std::bad_alloc; usable as before.
    void reserve(std::size_t limit, bool weighted) {
        links_.reserve(limit);
        marks_.reserve(limit);
        if (weighted && shared_weights_ == nullptr) {
            weights_.reserve(limit);
            for (std::size_t id = 0; id < limit && !is_weighted_; ++id) {
                weights_[id] = 1;
            }
        }
        is_weighted_ = is_weighted_ || weighted;
    }
    /// Remembers so many keys that left. Errors: std::bad_alloc; nothing is changed.
    void remember(std::size_t keys) {
        history_.resize(keys);
        buckets_to_age_ = std::min(buckets_to_age_, history_.buckets());
    }
    void divide(const admission& by) noexcept { by_ = by; }

    [[nodiscard]] std::size_t size() const noexcept { return window_.size() + main_.size(); }
    [[nodiscard]] std::uint64_t amount() const noexcept { return window_amount_ + main_amount_; }
    [[nodiscard]] std::uint64_t window_amount() const noexcept { return window_amount_; }
    [[nodiscard]] std::uint64_t amount_of(Link id) const noexcept {
        return !is_weighted_ ? 1 : shared_weights_ != nullptr ? (*shared_weights_)[id] : weights_[id];
    }
    /// How many candidates and newcomers lost to the main part's victim.
    [[nodiscard]] std::uint64_t refused() const noexcept { return refused_; }
    [[nodiscard]] bool holds(Link id) const noexcept { return (marks_[id] & held) != 0; }
    [[nodiscard]] unsigned count(Link id) const noexcept { return marks_[id] & key_history::most; }
    [[nodiscard]] const entry_queue<Link>& window() const noexcept { return window_; }
    [[nodiscard]] const entry_queue<Link>& main_part() const noexcept { return main_; }
    [[nodiscard]] Link newer_than(Link id) const noexcept { return links_.newer(id); }
    [[nodiscard]] Link older_than(Link id) const noexcept { return links_.older(id); }

    /// Begins to fetch what `insert` needs of a key.
    void prefetch(std::uint32_t hash) const noexcept { history_.prefetch(hash); }

    /// Two bits of the caller's, cleared by `insert`.
    [[nodiscard]] bool is_marked(Link id, unsigned which) const noexcept {
        return (marks_[id] & (first_mark << which)) != 0;
    }
    void mark(Link id, unsigned which, bool on) noexcept {
        const auto bit = static_cast<std::uint8_t>(first_mark << which);
        marks_[id] = static_cast<std::uint8_t>(on ? marks_[id] | bit : marks_[id] & ~bit);
    }

    /// `id` comes in; `weight` is ignored unless entries are weighted.
    void insert(Link id, std::uint32_t hash, std::uint64_t weight) noexcept {
        const unsigned known = history_.take(hash);
        marks_[id] = static_cast<std::uint8_t>(held | std::min(known + 1, key_history::most));
        keep_weight(id, weight);
        window_.push(links_, id);
        window_amount_ += amount_of(id);
        counted();
    }

    /// `id` goes. Its count is remembered for `hash`, so that it is known when it comes back.
    void erase(Link id, std::uint32_t hash) noexcept {
        history_.put(hash, count(id));
        left_amount_ += is_weighted_ ? amount_of(id) : 0;
        forget(id);
    }
    void forget(Link id) noexcept {
        leave(id);
        marks_[id] = 0;
    }

    void reweigh(Link id, std::uint64_t weight) noexcept {
        if (is_weighted_) {
            (in_main(id) ? main_amount_ : window_amount_) += weight - amount_of(id);
            keep_weight(id, weight);
        }
    }

    /// While the cache is not full, what is too much for the window goes on without a contest. Call it after
    /// `insert` where no victim was needed.
    void overflow() noexcept {
        for (unsigned n = 0; n < 2 && window_is_over(0); ++n) {
            admit(window_.oldest());
        }
    }

    /// Whether a newcomer is not worth the room that it needs. To be asked before `victim`, once for each; a
    /// refusal counts as one request for the key. Never unless it is heavy, more than `heavy` times the
    /// average of `fewest_to_judge` entries or more, and as much has left as is held: who is asked for is not
    /// known before. What it would push out would go without a contest, so it has its own at once, by
    /// requests for each unit of weight (as in Berger, Sitaraman, Harchol-Balter, "AdaptSize", NSDI 2017,
    /// size decides who is let in; here together with the requests that are known). A key that was asked for
    /// `always_let_in` times of late has proved itself, whatever it weighs: counts are too small to weigh up
    /// a thousand light entries.
    template <class Host>
    [[nodiscard]] bool refuses(Host& host, std::uint32_t hash, std::uint64_t weight, Link keep) noexcept {
        const auto held_now = static_cast<double>(amount());
        if (!is_weighted_ || size() < fewest_to_judge ||
            static_cast<double>(weight) * static_cast<double>(size()) <= heavy * held_now ||
            left_amount_ < amount()) {
            return false;
        }
        const Link rival = main_victim(host, keep);
        const unsigned known = history_.take(hash);
        const bool is_refused =
            rival != none && known + 1 < always_let_in && !is_denser(known + 1, weight, rival);
        if (is_refused) {
            ++refused_;
            counted();
        }
        history_.put(hash, known + (is_refused ? 1 : 0));
        return is_refused;
    }

    /// Whom to evict to make room; the caller erases it before it asks again. `none`: nobody is left but
    /// `keep` (which may be `none`), which is never answered. `comes`: how much a newcomer will add to the
    /// window.
    template <class Host>
    [[nodiscard]] Link victim(Host& host, std::uint64_t comes, Link keep) noexcept {
        for (unsigned moves = 0; moves < most_moves && window_is_over(comes); ++moves) {
            const Link candidate = window_.oldest();
            if (candidate == keep) {
                if (window_.size() == 1) {
                    break;
                }
                window_.renew_oldest(links_);
            } else if (host.take_reference(candidate)) {
                count_up(candidate);
                window_.renew_oldest(links_);
            } else {
                const Link loser = contest(host, candidate, keep);
                settle(host, comes, keep, loser, most_moves - moves);
                return loser;
            }
        }
        return any_victim(host, keep);
    }

    [[nodiscard]] std::size_t memory() const noexcept {
        return links_.memory() + marks_.memory() + weights_.memory() + history_.memory();
    }

private:
    static constexpr std::uint8_t held = 0x10, in_main_part = 0x20, first_mark = 0x40;  // below: the count
    static constexpr std::uint64_t additions_an_entry = 20;                             // see `counted`

    [[nodiscard]] bool in_main(Link id) const noexcept { return (marks_[id] & in_main_part) != 0; }

    // Whether the window is more than its share of what is held, with `comes` in it and without `leaves`.
    [[nodiscard]] bool window_is_over(std::uint64_t comes, std::uint64_t leaves = 0) const noexcept {
        const auto share = static_cast<std::uint64_t>(static_cast<double>(amount()) * by_.window_share);
        return window_amount_ > leaves &&
               window_amount_ + comes - leaves > std::max(share, std::max<std::uint64_t>(comes, 1));
    }

    void keep_weight(Link id, std::uint64_t weight) noexcept {
        if (is_weighted_ && shared_weights_ == nullptr) {
            weights_[id] = weight;
        }
    }

    void leave(Link id) noexcept {
        if (in_main(id)) {
            main_.erase(links_, id);
            main_amount_ -= amount_of(id);
        } else {
            window_.erase(links_, id);
            window_amount_ -= amount_of(id);
        }
    }

    // From the window into the main part.
    void admit(Link id) noexcept {
        leave(id);
        marks_[id] |= in_main_part;
        main_.push(links_, id);
        main_amount_ += amount_of(id);
    }

    // The main part's next victim: used ones go round again, a bounded number of them. `none`: empty, or
    // only `keep`.
    template <class Host>
    [[nodiscard]] Link main_victim(Host& host, Link keep) noexcept {
        for (unsigned chances = 0; chances < most_chances && !main_.empty(); ++chances) {
            const Link next = main_.oldest();
            if (next != keep) {
                if (!host.take_reference(next)) {
                    return next;
                }
                count_up(next);
            }
            main_.renew_oldest(links_);
        }
        const Link next = main_.oldest();
        return next == keep && next != none ? newer_than(next) : next;
    }

    [[nodiscard]] unsigned to_beat(Link rival) const noexcept {
        return std::min(count(rival), by_.trusted) + by_.margin;
    }
    // Of entries with weights, what counts is how often each unit of weight was asked for.
    [[nodiscard]] bool is_denser(unsigned times, std::uint64_t weight, Link rival) const noexcept {
        return times * static_cast<double>(amount_of(rival)) > to_beat(rival) * static_cast<double>(weight);
    }
    [[nodiscard]] bool is_worth_more(Link candidate, Link rival) const noexcept {
        return is_weighted_ ? is_denser(count(candidate), amount_of(candidate), rival)
                            : count(candidate) > to_beat(rival);
    }

    template <class Host>
    [[nodiscard]] Link contest(Host& host, Link candidate, Link keep) noexcept {
        const Link rival = main_victim(host, keep);
        if (rival == none || !is_worth_more(candidate, rival)) {
            ++refused_;
            return candidate;
        }
        admit(candidate);
        return rival;
    }

    // After the window was made smaller: what is still too much goes on without a contest, as there is room
    // for it. `gone` will be evicted.
    template <class Host>
    void settle(Host& host, std::uint64_t comes, Link keep, Link gone, unsigned moves) noexcept {
        const std::uint64_t leaves = in_main(gone) ? 0 : amount_of(gone);
        for (; moves > 0 && window_is_over(comes, leaves); --moves) {
            const Link next = window_.oldest();
            if (next == gone || next == keep) {
                window_.renew_oldest(links_);
            } else if (host.take_reference(next)) {
                count_up(next);
                window_.renew_oldest(links_);
            } else {
                admit(next);
            }
        }
    }

    template <class Host>
    [[nodiscard]] Link any_victim(Host& host, Link keep) noexcept {
        const Link found = main_victim(host, keep);
        if (found != none) {
            return found;
        }
        const Link oldest = window_.oldest();
        return oldest == keep && oldest != none ? newer_than(oldest) : oldest;
    }

    void count_up(Link id) noexcept {
        if (count(id) < key_history::most) {
            ++marks_[id];
        }
        counted();
    }

    // Halves all counts each time that ten additions per entry were made (twenty at first), a few of them at
    // each addition, so that no call is long.
    void counted() noexcept {
        ++additions_;
        if (marks_to_age_ == 0 && buckets_to_age_ == 0) {
            if (additions_ < additions_an_entry * std::max<std::uint64_t>(size(), 16)) {
                return;
            }
            additions_ /= 2;
            marks_to_age_ = marks_.size();
            buckets_to_age_ = history_.buckets();
        }
        for (unsigned n = 0; n < 16 && marks_to_age_ > 0; ++n) {
            std::uint8_t& mark = marks_[--marks_to_age_];
            mark = static_cast<std::uint8_t>((mark & 0xf0) | (mark & 0x0f) >> 1);
        }
        for (unsigned n = 0; n < 4 && buckets_to_age_ > 0; ++n) {
            history_.age(buckets_to_age_--);
        }
    }

    admission by_{0.10, 0, key_history::most};
    queue_links<Link> links_{};
    template <class T>
    using array = typename queue_links<Link>::template array<T>;
    array<std::uint8_t> marks_{};  // by id: count, held, where, the caller's two
    const entry_weights* const shared_weights_;
    array<std::uint64_t> weights_{};  // where they are not shared
    bool is_weighted_ = false;
    entry_queue<Link> window_{}, main_{};
    std::uint64_t window_amount_ = 0, main_amount_ = 0;
    std::uint64_t left_amount_ = 0;  // since the beginning, of entries with weights
    key_history history_;
    std::uint64_t additions_ = 0;
    std::uint64_t refused_ = 0;
    std::size_t marks_to_age_ = 0, buckets_to_age_ = 0;  // of the ageing under way
};

}  // namespace levee::local_detail
