#include "levee/testing/backplane_contract.hpp"

#include <algorithm>
#include <cstdint>
#include <map>
#include <mutex>
#include <string_view>
#include <utility>

#include "levee/core/error.hpp"

namespace levee::testing {
namespace {

using subject = backplane_under_test;

void require(bool holds, const std::string& what) {
    if (!holds) {
        throw contract_violation(what);
    }
}

time_point now(const subject& on) {
    return on.now ? on.now() : clock::precise().now();
}

void settle(const subject& on, const std::function<bool()>& is_so, const std::string& what) {
    if (on.settle && !is_so()) {
        on.settle(is_so);
    }
    require(is_so(), what);
}

void publish(const subject& on, backplane& link, const backplane_message& message) {
    if (on.publish) {
        on.publish(link, message);
    } else {
        link.publish(message);
    }
}

// Every case begins with links that work.
void await_fresh(const subject& on) {
    settle(
        on, [&] { return on.one->fresh_until() > now(on) && on.two->fresh_until() > now(on); },
        "a link that works is fresh");
}

// What one subscription has heard of a case's namespace. Handlers come from any thread.
class listener {
public:
    listener(backplane& link, std::string name_space)
        : name_space_(std::move(name_space)),
          subscription_(link.subscribe([this](const backplane_message& heard) { hear(heard); },
                                       [this] {
                                           const std::lock_guard lock(mutex_);
                                           ++gaps_;
                                       })) {}
    listener(const listener&) = delete;
    listener& operator=(const listener&) = delete;

    [[nodiscard]] std::vector<backplane_message> messages() const {
        const std::lock_guard lock(mutex_);
        return messages_;
    }
    [[nodiscard]] bool has_heard(std::string_view name) const {
        const std::lock_guard lock(mutex_);
        return std::any_of(messages_.begin(), messages_.end(),
                           [&](const auto& heard) { return heard.name == name; });
    }
    [[nodiscard]] int gaps() const {
        const std::lock_guard lock(mutex_);
        return gaps_;
    }
    void end() { subscription_.reset(); }

private:
    void hear(const backplane_message& heard) {
        const std::lock_guard lock(mutex_);
        if (heard.name_space == name_space_) {
            messages_.push_back(heard);
        }
    }

    const std::string name_space_;
    mutable std::mutex mutex_{};  // guards both below
    std::vector<backplane_message> messages_{};
    int gaps_ = 0;
    backplane_subscription subscription_;  // the last: its end comes first
};

backplane_message about(const std::string& name_space, std::string name, std::uint64_t sender = 1) {
    backplane_message made;
    made.name_space = name_space;
    made.name = std::move(name);
    made.sender = sender;
    return made;
}

bool are_equal(const backplane_message& a, const backplane_message& b) {
    return a.what == b.what && a.name_space == b.name_space && a.name == b.name && a.count == b.count &&
           a.sender == b.sender;
}

void messages_arrive_as_they_were(const subject& on, const std::string& name_space) {
    const listener heard(*on.two, name_space);
    await_fresh(on);
    std::vector<backplane_message> sent;
    for (const std::string& name :
         {std::string(), std::string("k"), std::string("a\0b\xFF\r\n '\"\\$1", 12),
          std::string("{user}:\xE6\xBC\xA2"), std::string(512, 'x'), std::string("\0", 1)}) {
        for (const change what : {change::invalidated, change::expired, change::filled, change::marked}) {
            backplane_message made = about(name_space, name, UINT64_MAX - sent.size());
            made.what = what;
            made.count = what == change::marked ? UINT64_MAX - 1 : 0;
            sent.push_back(made);
            publish(on, *on.one, made);
        }
    }
    settle(
        on,
        [&] {
            const auto all = heard.messages();
            return std::all_of(sent.begin(), sent.end(), [&](const backplane_message& each) {
                return std::any_of(all.begin(), all.end(), [&](const auto& m) { return are_equal(m, each); });
            });
        },
        "each message arrives, with all its fields as they were");
    for (const auto& each : heard.messages()) {
        require(std::any_of(sent.begin(), sent.end(), [&](const auto& m) { return are_equal(m, each); }),
                "no message arrives that was not sent");
    }
}

void everybody_hears_also_who_sent(const subject& on, const std::string& name_space) {
    const listener first(*on.one, name_space);
    const listener second(*on.one, name_space);
    const listener other(*on.two, name_space);
    await_fresh(on);
    publish(on, *on.one, about(name_space, "a", 1));
    publish(on, *on.two, about(name_space, "b", 2));
    for (const listener* each : {&first, &second, &other}) {
        settle(
            on, [&] { return each->has_heard("a") && each->has_heard("b"); },
            "every subscription of every link hears every message");
    }
}

void who_subscribes_hears_what_is_sent_then(const subject& on, const std::string& name_space) {
    await_fresh(on);
    for (int i = 0; i < 5; ++i) {
        const std::string name = std::to_string(i);
        const listener heard(*on.two, name_space);
        publish(on, *on.one, about(name_space, name));
        settle(
            on, [&] { return heard.has_heard(name) || heard.gaps() > 0; },
            "what is sent after `subscribe` has returned is heard");
    }
}

void each_senders_messages_stay_in_order(const subject& on, const std::string& name_space) {
    constexpr std::uint64_t count = 100;
    const listener heard(*on.two, name_space);
    await_fresh(on);
    for (std::uint64_t i = 0; i < count; ++i) {
        for (const std::uint64_t sender : {std::uint64_t{1}, std::uint64_t{2}}) {
            backplane_message made = about(name_space, std::to_string(i), sender);
            made.what = change::marked;
            made.count = i + 1;
            publish(on, sender == 1 ? *on.one : *on.two, made);
        }
    }
    const auto last = std::to_string(count - 1);
    settle(
        on,
        [&] {
            const auto all = heard.messages();
            return std::count_if(all.begin(), all.end(), [&](const auto& m) { return m.name == last; }) >= 2;
        },
        "the last message of each sender is heard");
    std::map<std::uint64_t, std::uint64_t> latest;
    for (const auto& each : heard.messages()) {
        require(each.count <= latest[each.sender] + 1,
                "no message of a sender is missing, nor before an earlier one");
        latest[each.sender] = (std::max)(latest[each.sender], each.count);
    }
}

void ended_subscriptions_hear_nothing_more(const subject& on, const std::string& name_space) {
    listener ends(*on.two, name_space);
    const listener stays(*on.two, name_space);
    await_fresh(on);
    publish(on, *on.one, about(name_space, "before"));
    settle(on, [&] { return ends.has_heard("before") && stays.has_heard("before"); }, "both hear at first");
    ends.end();
    publish(on, *on.one, about(name_space, "after"));
    settle(on, [&] { return stays.has_heard("after"); }, "the other goes on");
    require(!ends.has_heard("after"), "an ended subscription hears nothing more");
}

void handlers_may_be_left_out(const subject& on, const std::string& name_space) {
    const auto deaf = on.two->subscribe({}, {});
    const listener heard(*on.two, name_space);
    await_fresh(on);
    publish(on, *on.one, about(name_space, "a"));
    settle(on, [&] { return heard.has_heard("a"); }, "others hear beside one without handlers");
}

void a_link_that_works_stays_fresh(const subject& on, const std::string& /*name_space*/) {
    if (!on.pass) {
        return;
    }
    const listener heard(*on.two, "");
    await_fresh(on);
    for (int i = 0; i < 6; ++i) {
        on.pass(on.fresh_for / 2);
        await_fresh(on);
    }
    require(heard.gaps() == 0, "a link that works has no gaps");
}

void a_cut_link_does_not_look_fresh_for_long(const subject& on, const std::string& name_space) {
    if (!on.cut) {
        return;
    }
    const listener heard(*on.two, name_space);
    await_fresh(on);
    on.cut();
    const time_point cut = now(on);
    require(on.two->fresh_until() <= after(cut, on.fresh_for),
            "a cut link looks fresh for ping interval and timeout at most");
    for (int i = 0; i < 4; ++i) {
        on.pass(on.fresh_for / 2);
        require(on.two->fresh_until() <= after(cut, on.fresh_for), "and does not become so while it is cut");
    }
    require(on.two->fresh_until() <= now(on), "in the end it is not");
    on.heal();
    await_fresh(on);
    require(heard.gaps() > 0, "before a healed link is fresh again, a gap was reported");
}

void what_is_missed_is_reported(const subject& on, const std::string& name_space) {
    if (!on.cut) {
        return;
    }
    for (int i = 0; i < 3; ++i) {
        const std::string missed = "missed" + std::to_string(i);
        const std::string later = "later" + std::to_string(i);
        const listener heard(*on.two, name_space);
        const listener other(*on.one, name_space);
        await_fresh(on);
        on.cut();
        publish(on, *on.one, about(name_space, missed));
        settle(on, [&] { return other.has_heard(missed); }, "the other link goes on");
        on.heal();
        settle(
            on, [&] { return heard.has_heard(missed) || heard.gaps() > 0; },
            "what was sent while the link was cut is heard afterwards, or a gap is reported");
        await_fresh(on);
        publish(on, *on.one, about(name_space, later));
        settle(on, [&] { return heard.has_heard(later); }, "a healed link hears again");
        require(other.gaps() == 0, "the other link has no gap");
    }
}

void publishing_over_a_cut_link_fails_or_arrives(const subject& on, const std::string& name_space) {
    if (!on.cut) {
        return;
    }
    const listener other(*on.one, name_space);
    await_fresh(on);
    on.cut();
    bool has_failed = false;
    try {
        publish(on, *on.two, about(name_space, "a"));
    } catch (const error&) {
        has_failed = true;
    }
    on.heal();
    settle(
        on, [&] { return has_failed || other.has_heard("a"); },
        "what was published over a cut link without an error is heard once it is healed");
    await_fresh(on);
}

}  // namespace

std::vector<backplane_case> backplane_contract() {
    return {{"messages_arrive_as_they_were", messages_arrive_as_they_were},
            {"everybody_hears_also_who_sent", everybody_hears_also_who_sent},
            {"who_subscribes_hears_what_is_sent_then", who_subscribes_hears_what_is_sent_then},
            {"each_senders_messages_stay_in_order", each_senders_messages_stay_in_order},
            {"ended_subscriptions_hear_nothing_more", ended_subscriptions_hear_nothing_more},
            {"handlers_may_be_left_out", handlers_may_be_left_out},
            {"a_link_that_works_stays_fresh", a_link_that_works_stays_fresh},
            {"a_cut_link_does_not_look_fresh_for_long", a_cut_link_does_not_look_fresh_for_long},
            {"what_is_missed_is_reported", what_is_missed_is_reported},
            {"publishing_over_a_cut_link_fails_or_arrives", publishing_over_a_cut_link_fails_or_arrives}};
}

}  // namespace levee::testing
