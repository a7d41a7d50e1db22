#include "levee/testing/backplane_contract.hpp"

#include <gtest/gtest.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "levee/core/error.hpp"
#include "levee/store/memory_backplane.hpp"
#include "levee/testing/chaos_backplane.hpp"
#include "levee/testing/simulation.hpp"
#include "support/contract_names.hpp"

namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using levee::backplane;
using levee::backplane_message;
using levee::memory_backplane;
using levee::testing::backplane_contract;
using levee::testing::backplane_under_test;
using levee::testing::chaos_backplane;
using levee::testing::chaos_backplane_options;
using levee::testing::chaos_link;
using levee::testing::contract_violation;

/// What is wrong with a backplane, to see that the contract finds it.
enum class fault {
    none,
    drops,
    swaps_two_of_a_sender,
    forgets_counts,
    cuts_names_at_zero,
    hears_all_as_invalidated,
    does_not_hear_itself,
    hears_after_the_end,
    second_subscriber_is_deaf,
    tells_no_gap,
    is_always_fresh,
    is_fresh_for_too_long,
    is_never_fresh_again,
    tells_gaps_for_nothing,
    swallows_refused_publications
};
constexpr int faults = static_cast<int>(fault::swallows_refused_publications) + 1;

class faulty final : public backplane {
public:
    faulty(std::shared_ptr<backplane> inner, fault which, std::function<levee::time_point()> now)
        : inner_(std::move(inner)), fault_(which), now_(std::move(now)) {}

    asio::awaitable<void> async_publish(backplane_message message) override {
        published_here_ = message.sender;
        try {
            auto work = inner_->async_publish(std::move(message));
            co_await std::move(work);
        } catch (const levee::error&) {
            if (fault_ != fault::swallows_refused_publications) {
                throw;
            }
        }
    }

    [[nodiscard]] levee::backplane_subscription subscribe(message_handler on_message,
                                                          gap_handler on_gap) override {
        if (fault_ == fault::second_subscriber_is_deaf && ++subscribers_ % 2 == 0) {
            on_message = {};
        }
        if (fault_ == fault::tells_no_gap) {
            on_gap = {};
        }
        if (fault_ == fault::tells_gaps_for_nothing && on_gap) {
            on_gap();
        }
        auto held = std::make_shared<backplane_message>();
        auto kept = std::make_shared<levee::backplane_subscription>(inner_->subscribe(
            [this, held, on_message = std::move(on_message)](backplane_message m) {
                if (on_message) {
                    hear(m, *held, on_message);
                }
            },
            std::move(on_gap)));
        if (fault_ == fault::hears_after_the_end) {
            leaked_.push_back(kept);
            return levee::backplane_subscription([] {});
        }
        return levee::backplane_subscription([kept] { kept->reset(); });
    }

    [[nodiscard]] levee::time_point fresh_until() const noexcept override {
        const auto until = inner_->fresh_until();
        switch (fault_) {
            case fault::is_always_fresh:
                return levee::time_point::max();
            case fault::is_fresh_for_too_long:
                return until + 4s;
            case fault::is_never_fresh_again:
                was_stale_ = was_stale_ || until <= now_();
                return was_stale_ ? now_() : until;
            default:
                return until;
        }
    }

private:
    void hear(backplane_message& m, backplane_message& held, const message_handler& on_message) {
        switch (fault_) {
            case fault::forgets_counts:
                m.count = 0;
                break;
            case fault::cuts_names_at_zero:
                m.name = m.name.c_str();
                break;
            case fault::hears_all_as_invalidated:
                m.what = levee::change::invalidated;
                break;
            case fault::does_not_hear_itself:
                if (m.sender == published_here_) {
                    return;
                }
                break;
            case fault::swaps_two_of_a_sender:
                if (m.name == "10") {
                    held = m;
                    return;
                }
                if (m.name == "11" && held.sender == m.sender) {
                    on_message(m);
                    on_message(held);
                    return;
                }
                break;
            default:
                break;
        }
        on_message(m);
    }

    const std::shared_ptr<backplane> inner_;
    const fault fault_;
    const std::function<levee::time_point()> now_;
    std::uint64_t published_here_ = 0;
    int subscribers_ = 0;
    mutable bool was_stale_ = false;
    std::vector<std::shared_ptr<levee::backplane_subscription>> leaked_;
};

/// Two links over chaos in virtual time, each with the fault.
struct two_links {
    explicit two_links(const chaos_backplane_options& options, fault which = fault::none) {
        const auto bus = std::make_shared<memory_backplane>();
        auto of_one = options;
        of_one.seed += 1'000;
        const auto now = [this] { return world.now(); };
        one = std::make_shared<chaos_backplane>(bus, world.scheduler(), of_one);
        two = std::make_shared<chaos_backplane>(bus, world.scheduler(), options);
        subject.one = std::make_shared<faulty>(one, which, now);
        subject.two = std::make_shared<faulty>(two, which, now);
        subject.fresh_for = options.ping_interval + options.ping_timeout;
        subject.now = now;
        subject.pass = [this](levee::duration span) { world.run_for(span); };
        subject.settle = [this](const std::function<bool()>& is_so) {
            while (!is_so() && world.step()) {
            }
        };
        subject.publish = [this](backplane& link, const backplane_message& message) {
            asio::cancellation_signal stop;
            std::exception_ptr failure;
            bool has_ended = false;
            asio::co_spawn(world.executor(), link.async_publish(message),
                           asio::bind_cancellation_slot(stop.slot(), [&](const std::exception_ptr& e) {
                               failure = e;
                               has_ended = true;
                           }));
            while (!has_ended && world.step()) {
            }
            if (!has_ended) {
                stop.emit(asio::cancellation_type::terminal);
                world.run();
            }
            if (failure) {
                std::rethrow_exception(failure);
            }
        };
        subject.cut = [this] { two->set_link(cut_is); };
        subject.heal = [this] { two->set_link(chaos_link::works); };
    }

    levee::testing::simulation world{3};
    std::shared_ptr<chaos_backplane> one, two;
    chaos_link cut_is = chaos_link::refuses;
    backplane_under_test subject;
};

class backplane_rules : public testing::TestWithParam<levee::testing::backplane_case> {};

TEST_P(backplane_rules, hold_for_memory_backplanes) {
    backplane_under_test subject;
    subject.one = subject.two = std::make_shared<memory_backplane>();
    GetParam().run(subject, "ns");
}

TEST_P(backplane_rules, hold_behind_delays_and_repetitions) {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        for (const chaos_link cut : {chaos_link::refuses, chaos_link::is_silent}) {
            two_links nodes({.seed = seed,
                             .delivery_delay = 300ms,
                             .publish_delay = 5ms,
                             .duplicate = 0.1,
                             .ping_interval = 3s,
                             .ping_timeout = 2s});
            nodes.cut_is = cut;
            GetParam().run(nodes.subject, "ns");
        }
    }
}

INSTANTIATE_TEST_SUITE_P(contract, backplane_rules, testing::ValuesIn(backplane_contract()),
                         [](const auto& instance) { return instance.param.name; });

class planted_faults : public testing::TestWithParam<int> {};

TEST_P(planted_faults, are_found_by_the_contract_and_none_by_none) {
    const auto which = static_cast<fault>(GetParam());
    std::string found;
    for (const auto& rule : backplane_contract()) {
        chaos_backplane_options options{.seed = 1, .delivery_delay = 20ms};
        options.drop = which == fault::drops ? 0.05 : 0.0;
        two_links nodes(options, which);
        try {
            rule.run(nodes.subject, "ns");
        } catch (const contract_violation& e) {
            found += rule.name + ": " + e.what() + "\n";
        }
    }
    EXPECT_EQ(found.empty(), which == fault::none) << found;
}

INSTANTIATE_TEST_SUITE_P(contract, planted_faults, testing::Range(0, faults));

}  // namespace
