#include "levee/core/error.hpp"

namespace levee {
namespace {

struct levee_category final : std::error_category {
    [[nodiscard]] const char* name() const noexcept override { return "levee"; }

    [[nodiscard]] std::string message(int code) const override {
        switch (static_cast<errc>(code)) {
            case errc::timeout:
                return "the deadline passed";
            case errc::cancelled:
                return "the operation was cancelled";
            case errc::closed:
                return "the object was closed while the operation waited";
            case errc::recursive_load:
                return "the loader asked for a key that it is itself loading";
            case errc::would_deadlock:
                return "a blocking call on a thread that the awaited work needs";
            case errc::read_only:
                return "the source does not take writes";
            case errc::invalid_data:
                return "the stored data is not what was expected";
            case errc::unavailable:
                return "the back end cannot be used now";
            case errc::load_failed:
                return "the source reported a failure without a reason";
            case errc::full:
                return "it is full, and takes no more for now";
        }
        return "unknown levee error " + std::to_string(code);
    }

    [[nodiscard]] std::error_condition default_error_condition(int code) const noexcept override {
        switch (static_cast<errc>(code)) {
            case errc::timeout:
                return std::errc::timed_out;
            case errc::cancelled:
                return std::errc::operation_canceled;
            case errc::would_deadlock:
                return std::errc::resource_deadlock_would_occur;
            default:
                return {code, *this};
        }
    }
};

}  // namespace

const std::error_category& error_category() noexcept {
    // Leaked on purpose: destructors of user globals may still compare codes after main.
    static const std::error_category& instance = *new levee_category;
    return instance;
}

}  // namespace levee
