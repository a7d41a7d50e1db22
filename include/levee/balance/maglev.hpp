/// Hashing by a table that is nearly even.
#pragma once

#include "levee/balance/hashing.hpp"

namespace levee {

struct maglev_options {
    /// Entries; a prime, at least 100 times the endpoints for a spread of 1 %. In [3, 16,777,213].
    std::uint32_t table_size = 65'537;
    double bounded_load = 0.0;  ///< See `bounded_load_options`.
};

/// Maglev (Eisenbud and others 2016): the most even hashing and the fastest, one look at a table. Losing an
/// endpoint for good moves its keys and up to 1 % of the others; being unhealthy moves only its own.
///
/// Cost: a few ns; writes no shared line without a bound. Building: some ms, on the updating thread.
class maglev final : public hashing_strategy {
public:
    /// Errors: std::invalid_argument.
    explicit maglev(const maglev_options& options = {});

    [[nodiscard]] std::string name() const override { return "maglev"; }
    [[nodiscard]] std::shared_ptr<const strategy_plan> prepare(
        std::span<const candidate> candidates) const override;
    [[nodiscard]] const candidate* pick(pick_view& view) const override;

private:
    [[nodiscard]] const candidate* pick_another(pick_view& view, std::uint64_t hash) const;

    maglev_options options_;
};

}  // namespace levee
