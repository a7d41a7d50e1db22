#include "levee/cache/detail/leased_load.hpp"

#include <algorithm>

namespace levee::cache_detail {

leased_load::step leased_load::on_answer(const lease_answer& answer, bool is_usable, bool has_reserve,
                                         time_point now) noexcept {
    const bool is_fresh = is_usable && answer.entry && answer.entry->fresh_left > duration::zero();
    switch (answer.what) {
        case lease_outcome::entry:
            if (is_usable) {
                return step::use_entry;
            }
            if (even_if_fresh_) {
                return step::load;  // a store that does not do as it is asked is not asked for ever
            }
            even_if_fresh_ = true;
            return step::ask;
        case lease_outcome::granted:
            token_ = answer.token;
            // Asked for in spite of an unusable entry; meanwhile somebody stored a usable one.
            return is_fresh && !options_.even_if_fresh ? step::use_entry : step::load;
        case lease_outcome::busy:
            break;
    }
    // Whoever refreshes a key has a value to serve; another's fresh load will do as well.
    if (is_fresh) {
        return step::use_entry;
    }
    if (now >= gives_up_at_) {
        return has_reserve ? step::use_reserve : step::time_out;
    }
    const duration ceiling = polls_ < 16 ? (std::min)(options_.poll_most, options_.poll_first * (1 << polls_))
                                         : options_.poll_most;
    ++polls_;
    const double taken = 0.5 * uniform_unit(random_) * static_cast<double>(ceiling.count());
    wait_for_ = (std::min)(ceiling - duration(static_cast<duration::rep>(taken)), gives_up_at_ - now);
    return step::wait;
}

}  // namespace levee::cache_detail
