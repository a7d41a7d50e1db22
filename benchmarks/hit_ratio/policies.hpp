/// The laboratory's policies by name.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "hit_ratio/policy.hpp"

namespace levee::lab {

/// What is known of a policy without making one.
struct policy_info {
    std::string_view name;   ///< As in tables and on command lines.
    std::string_view about;  ///< What it is, in a few words.
    bool by_size;            ///< Whether it can be bounded by bytes.
};

/// All policies, in the order of tables: the simple ones, the better ones, levee's, and the bound.
[[nodiscard]] std::span<const policy_info> known_policies();

/// The names of all policies, or of those that can be bounded by bytes, separated by commas.
[[nodiscard]] std::string policy_names(bool by_size = false);

/// Makes the policy called `name`.
///
/// Errors: std::invalid_argument for a name that is not in `known_policies()`, a capacity of zero, and
/// `by_size` where the policy has no such form.
[[nodiscard]] std::unique_ptr<policy> make_policy(std::string_view name, const policy_setup& setup);

}  // namespace levee::lab
