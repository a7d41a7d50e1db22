#include "levee/cache/detail/dead_letters.hpp"

#include <random>
#include <string>

namespace levee::cache_detail {

std::pair<std::error_code, std::string> code_and_text(const std::exception_ptr& failure) noexcept {
    try {
        try {
            std::rethrow_exception(failure);
        } catch (const std::system_error& e) {
            return {e.code(), e.what()};
        } catch (const std::exception& e) {
            return {std::error_code(), e.what()};
        }
    } catch (...) {
        return {};
    }
}

std::error_code code_of(std::string_view category, std::int64_t value) noexcept {
    for (const std::error_category* known :
         {&error_category(), &std::system_category(), &std::generic_category()}) {
        if (category == known->name()) {
            return {static_cast<int>(value), *known};
        }
    }
    return {};
}

std::uint64_t system_seed() {
    std::random_device system;
    return (std::uint64_t{system()} << 32U | system()) | 1U;
}

}  // namespace levee::cache_detail
