#include "levee/testing/remote_store_contract.hpp"

#include <algorithm>
#include <cstddef>
#include <string_view>
#include <utility>

#include "levee/core/bytes.hpp"

namespace levee::testing {
namespace {

using subject = remote_store_under_test;

void require(bool holds, const std::string& what) {
    if (!holds) {
        throw contract_violation(what);
    }
}

bytes payload_of(std::string_view text) {
    const bytes_view raw = as_bytes(text);
    return {raw.begin(), raw.end()};
}

remote_entry entry_of(std::string_view text, duration fresh, duration stale = {}) {
    remote_entry made;
    made.payload = payload_of(text);
    made.fresh_left = fresh;
    made.stale_left = stale;
    return made;
}

remote_entry versioned(std::string_view text, std::uint64_t version, duration fresh) {
    remote_entry made = entry_of(text, fresh);
    made.version = version;
    return made;
}

std::optional<remote_entry> get(const subject& on, const std::string& key) {
    const std::vector<std::string> keys{key};
    auto answers = on.store->get(keys);
    require(answers.size() == 1, "get answers one entry a key");
    return std::move(answers.front());
}

void require_value(const subject& on, const std::string& key, std::string_view expected, const char* when) {
    const auto found = get(on, key);
    require(found.has_value(), std::string(when) + ": the entry is there");
    require(found->payload == payload_of(expected), std::string(when) + ": the payload is '" +
                                                        std::string(expected) + "', not '" +
                                                        std::string(as_text(found->payload)) + "'");
}

lease_answer ask(const subject& on, const std::string& key, duration lease, bool even_if_fresh = false) {
    return on.store->get_or_lease({.key = key, .lease = lease, .even_if_fresh = even_if_fresh});
}

std::uint64_t take_lease(const subject& on, const std::string& key, duration lease) {
    const auto answer = ask(on, key, lease);
    require(answer.what == lease_outcome::granted, "a lease is granted when nothing is there");
    require(answer.token != 0, "a token is not 0");
    return answer.token;
}

void keeps_what_was_put(const subject& on, const std::string& prefix) {
    remote_entry full = entry_of(std::string_view("a\0b\xFF", 4), on.unit * 50, on.unit * 90);
    full.version = 7;
    full.stamp = 9;
    full.tags = {"t1", "", std::string("\0x", 2)};
    on.store->put(prefix, full);
    const auto found = get(on, prefix);
    require(found.has_value(), "what was put is there");
    require(found->payload == full.payload && found->version == 7 && found->stamp == 9 &&
                found->tags == full.tags && !found->is_negative,
            "payload, version, stamp and tags come back as they were");
    require(found->fresh_left > duration::zero() && found->fresh_left <= full.fresh_left,
            "what is left fresh is at most what was given");
    require(found->stale_left >= found->fresh_left && found->stale_left <= full.stale_left,
            "what is left stale is at most what was given");
    remote_entry negative = entry_of("", on.unit * 50);
    negative.is_negative = true;
    on.store->put(prefix, negative);
    const auto replaced = get(on, prefix);
    require(replaced && replaced->is_negative && replaced->payload.empty(),
            "a negative entry replaces a value");
    require(!get(on, prefix + "other"), "a key that was not put is not there");
}

void takes_any_key(const subject& on, const std::string& prefix) {
    for (const std::string_view tail :
         {std::string_view(""), std::string_view("{}"), std::string_view("a b\r\n*?[x]"),
          std::string_view("\0\xFF\x80", 3), std::string_view("\xE6\xBC\xA2")}) {
        const std::string key = prefix + std::string(tail);
        on.store->put(key, entry_of(tail, on.unit * 50));
        require_value(on, key, tail, "any bytes are a key");
    }
}

void answers_in_order(const subject& on, const std::string& prefix) {
    on.store->put(prefix + "1", entry_of("one", on.unit * 50));
    on.store->put(prefix + "3", entry_of("three", on.unit * 50));
    const std::vector<std::string> keys{prefix + "3", prefix + "2", prefix + "1", prefix + "3"};
    const auto found = on.store->get(keys);
    require(found.size() == 4 && found[0] && !found[1] && found[2] && found[3],
            "one answer a key, repeated ones too");
    require(found[0]->payload == payload_of("three") && found[2]->payload == payload_of("one") &&
                found[3]->payload == payload_of("three"),
            "in the order of the keys");
    require(on.store->get({}).empty(), "no keys, no answers");
}

void ends_lives(const subject& on, const std::string& prefix) {
    on.store->put(prefix + "short", entry_of("v", on.unit));
    on.store->put(prefix + "reserve", entry_of("v", on.unit, on.unit * 50));
    on.store->put(prefix + "long", entry_of("v", on.unit * 50));
    on.store->put(prefix + "ever", entry_of("v", duration::max()));
    on.pass(on.unit * 2);
    require(!get(on, prefix + "short"), "past its life an entry is gone");
    require_value(on, prefix + "long", "v", "within its life");
    const auto reserve = get(on, prefix + "reserve");
    require(reserve && reserve->fresh_left <= duration::zero() && reserve->stale_left > duration::zero(),
            "within its reserve it is there, and not fresh");
    const auto ever = get(on, prefix + "ever");
    require(ever && ever->fresh_left == duration::max() && ever->stale_left == duration::max(),
            "for ever stays for ever");
}

void grants_one_lease(const subject& on, const std::string& prefix) {
    const auto token = take_lease(on, prefix, on.unit * 50);
    const auto second = ask(on, prefix, on.unit * 50);
    require(second.what == lease_outcome::busy && !second.entry,
            "while one holds the lease, others find it busy");
    require(second.lease_left > duration::zero() && second.lease_left <= on.unit * 50,
            "busy says for how long");
    require(!get(on, prefix), "a lease alone reads as a miss");
    require(on.store->fill(prefix, token, entry_of("loaded", on.unit * 50)), "the holder's fill is accepted");
    require_value(on, prefix, "loaded", "after the fill");
    const auto third = ask(on, prefix, on.unit * 50);
    require(third.what == lease_outcome::entry && third.entry && third.entry->payload == payload_of("loaded"),
            "a fresh entry answers in place of a lease");
    require(!on.store->fill(prefix, token, entry_of("again", on.unit * 50)), "a token fills once");
    require_value(on, prefix, "loaded", "after a second fill");
}

void gives_new_tokens(const subject& on, const std::string& prefix) {
    const auto first = take_lease(on, prefix, on.unit * 50);
    on.store->release(prefix, first);
    const auto second = take_lease(on, prefix, on.unit * 50);
    require(first != second, "a token is never given twice for a key");
    on.store->release(prefix, first);
    require(ask(on, prefix, on.unit).what == lease_outcome::busy, "an old token releases nothing");
    require(!on.store->fill(prefix, first, entry_of("old", on.unit * 50)), "an old token fills nothing");
    require(!on.store->fill(prefix, 0, entry_of("none", on.unit * 50)), "0 is no token");
}

void refuses_late_fills(const subject& on, const std::string& prefix) {
    const auto token = take_lease(on, prefix, on.unit);
    on.pass(on.unit * 2);
    require(!on.store->extend(prefix, token, on.unit * 50), "a lease that ended does not come back");
    require(!on.store->fill(prefix, token, entry_of("late", on.unit * 50)), "its late fill is refused");
    require(!get(on, prefix), "and stored nowhere");
    const auto next = take_lease(on, prefix, on.unit * 50);
    require(!on.store->fill(prefix, token, entry_of("late", on.unit * 50)),
            "also when another holds the lease");
    require(on.store->fill(prefix, next, entry_of("right", on.unit * 50)), "whose own fill is accepted");
}

void extends_leases(const subject& on, const std::string& prefix) {
    const auto token = take_lease(on, prefix, on.unit * 3);
    on.pass(on.unit);
    require(on.store->extend(prefix, token, on.unit * 50), "the holder extends");
    on.pass(on.unit * 5);
    require(ask(on, prefix, on.unit).what == lease_outcome::busy, "an extended lease goes on");
    require(on.store->fill(prefix, token, entry_of("slow", on.unit * 50)), "and fills");
}

template <class Void>
void is_voided_by(const subject& on, const std::string& prefix, const char* by, Void&& void_it) {
    const auto token = take_lease(on, prefix, on.unit * 50);
    void_it();
    require(!on.store->fill(prefix, token, entry_of("stale", on.unit * 50)),
            std::string(by) + " voids a lease");
    const auto found = get(on, prefix);
    require(!found || found->payload != payload_of("stale"), std::string(by) + ": nothing of it is stored");
    require(!on.store->extend(prefix, token, on.unit * 50), std::string(by) + ": nor can it be extended");
}

void voids_leases(const subject& on, const std::string& prefix) {
    const auto key = [&](const char* of) { return prefix + of; };
    is_voided_by(on, key("erase"), "erase", [&] { on.store->erase({key("erase")}); });
    is_voided_by(on, key("put"), "put", [&] { on.store->put(key("put"), entry_of("p", on.unit * 50)); });
    is_voided_by(on, key("newer"), "put_if_newer", [&] {
        require(on.store->put_if_newer(key("newer"), versioned("n", 5, on.unit * 50)), "is newer");
    });
    is_voided_by(on, key("expire"), "expire", [&] { on.store->expire(key("expire")); });
    is_voided_by(on, key("write"), "begin_write",
                 [&] { static_cast<void>(on.store->begin_write(key("write"), on.unit * 50)); });
}

void keeps_the_reserve_under_a_lease(const subject& on, const std::string& prefix) {
    on.store->put(prefix, entry_of("old", on.unit, on.unit * 90));
    on.pass(on.unit * 2);
    const auto granted = ask(on, prefix, on.unit * 50);
    require(granted.what == lease_outcome::granted && granted.entry &&
                granted.entry->payload == payload_of("old"),
            "a lease on a stale entry comes with it");
    const auto busy = ask(on, prefix, on.unit * 50);
    require(busy.what == lease_outcome::busy && busy.entry && busy.entry->payload == payload_of("old"),
            "others get the stale entry while they find it busy");
    require_value(on, prefix, "old", "under the lease");
    on.store->release(prefix, granted.token);
    require_value(on, prefix, "old", "after the release");
    require(ask(on, prefix, on.unit).what == lease_outcome::granted, "a released key can be leased at once");
}

void leases_what_is_fresh_if_asked(const subject& on, const std::string& prefix) {
    on.store->put(prefix, entry_of("fresh", on.unit * 90));
    const auto ahead = ask(on, prefix, on.unit * 50, true);
    require(ahead.what == lease_outcome::granted && ahead.entry,
            "a refresh ahead is granted beside a fresh entry");
    require(ask(on, prefix, on.unit * 50).what == lease_outcome::entry, "others go on with the fresh one");
    require(ask(on, prefix, on.unit * 50, true).what == lease_outcome::busy, "one refresh at a time");
    require(on.store->fill(prefix, ahead.token, entry_of("next", on.unit * 90)), "its fill is accepted");
    require_value(on, prefix, "next", "after the refresh");
}

void orders_by_version(const subject& on, const std::string& prefix) {
    if (!on.store->capabilities().has_versions) {
        return;
    }
    require(on.store->put_if_newer(prefix, versioned("5", 5, on.unit * 50)), "nothing there: it is newer");
    require(!on.store->put_if_newer(prefix, versioned("4", 4, on.unit * 50)), "an older one is refused");
    require(!on.store->put_if_newer(prefix, versioned("5b", 5, on.unit * 50)), "the same version is refused");
    require_value(on, prefix, "5", "after both");
    require(on.store->put_if_newer(prefix, versioned("6", 6, on.unit * 50)), "a newer one is stored");
    require_value(on, prefix, "6", "in the end");
}

void holds_keys_that_are_written(const subject& on, const std::string& prefix) {
    on.store->put(prefix, entry_of("before", on.unit * 90, on.unit * 90));
    const auto token = on.store->begin_write(prefix, on.unit * 50);
    require(token != 0, "a write has a token");
    require(!get(on, prefix), "begin_write drops the entry");
    const auto other = ask(on, prefix, on.unit * 50);
    require(other.what == lease_outcome::busy && !other.entry, "nobody loads a key that is being written");
    require(on.store->fill(prefix, token, entry_of("written", on.unit * 50)),
            "the writer's fill is accepted");
    require_value(on, prefix, "written", "after the write");
}

void lets_crossing_writers_end_empty(const subject& on, const std::string& prefix) {
    const auto first = on.store->begin_write(prefix, on.unit * 50);
    const auto second = on.store->begin_write(prefix, on.unit * 50);
    require(first != second, "two writers have two tokens");
    require(!on.store->fill(prefix, first, entry_of("first", on.unit * 50)),
            "the first one's fill is refused");
    on.store->erase({prefix});  // as the protocol has it after a refusal
    require(!on.store->fill(prefix, second, entry_of("second", on.unit * 50)), "and then the second one's");
    require(!get(on, prefix), "so that neither's value is there: the source decides");
}

void frees_keys_of_writers_that_died(const subject& on, const std::string& prefix) {
    const auto token = on.store->begin_write(prefix, on.unit);
    on.pass(on.unit * 2);
    require(ask(on, prefix, on.unit * 50).what == lease_outcome::granted, "a write that ended holds nobody");
    require(!on.store->fill(prefix, token, entry_of("late", on.unit * 50)), "its late fill is refused");
}

void erases_entries(const subject& on, const std::string& prefix) {
    on.store->put(prefix + "a", entry_of("v", on.unit * 50, on.unit * 90));
    on.store->put(prefix + "ab", entry_of("v", on.unit * 50));
    on.store->erase({prefix + "a", prefix + "unknown"});
    require(!get(on, prefix + "a"), "erased is gone, the reserve too");
    require_value(on, prefix + "ab", "v", "another key that begins alike");
    on.store->erase({});
}

void expires_entries(const subject& on, const std::string& prefix) {
    on.store->put(prefix, entry_of("old", on.unit * 50, on.unit * 90));
    on.store->expire(prefix);
    const auto stale = get(on, prefix);
    require(stale && stale->payload == payload_of("old"), "an expired entry is still there");
    require(stale->fresh_left <= duration::zero(), "and not fresh");
    require(stale->stale_left > on.unit * 50 && stale->stale_left <= on.unit * 90,
            "its reserve is as it was");
    const auto granted = ask(on, prefix, on.unit * 50);
    require(granted.what == lease_outcome::granted && granted.entry, "it can be leased, with what is stale");
    on.store->expire(prefix);
    require(!on.store->fill(prefix, granted.token, entry_of("late", on.unit * 50)),
            "a second expire voids the lease that followed the first");
    require_value(on, prefix, "old", "after a fill that was refused");
    on.store->put(prefix, entry_of("new", on.unit * 50));
    const auto fresh = get(on, prefix);
    require(fresh && fresh->fresh_left > duration::zero(), "what is put afterwards is fresh");
    on.store->expire(prefix + "unknown");
    require(!get(on, prefix + "unknown"), "expiring what is not there makes nothing");
    const auto writing = on.store->begin_write(prefix, on.unit * 50);
    on.store->expire(prefix);
    require(!on.store->fill(prefix, writing, entry_of("late", on.unit * 50)), "expire voids a write, too");
}

void touches_what_is_fresh(const subject& on, const std::string& prefix) {
    on.store->put(prefix, entry_of("v", on.unit * 3, on.unit * 5));
    require(on.store->touch(prefix, on.unit * 50, on.unit * 70), "a fresh entry is touched");
    const auto longer = get(on, prefix);
    require(longer && longer->fresh_left > on.unit * 40 && longer->fresh_left <= on.unit * 50,
            "its life is as asked");
    require(longer->stale_left > on.unit * 60 && longer->stale_left <= on.unit * 70,
            "its reserve is as asked");
    require(on.store->touch(prefix, on.unit, on.unit), "a fresh entry is touched with a shorter life");
    const auto kept = get(on, prefix);
    require(kept && kept->fresh_left > on.unit * 40 && kept->stale_left > on.unit * 60,
            "which does not shorten its own");
    const auto ahead = ask(on, prefix, on.unit * 50, true);
    require(on.store->touch(prefix, on.unit * 80, on.unit * 80), "touched under a lease");
    require(on.store->fill(prefix, ahead.token, entry_of("next", on.unit * 50)), "the lease still stands");
    require(!on.store->touch(prefix + "unknown", on.unit * 50, on.unit * 50), "nothing there to touch");
    require(!get(on, prefix + "unknown"), "and nothing made");
    on.store->put(prefix + "stale", entry_of("v", on.unit * 50, on.unit * 90));
    on.store->expire(prefix + "stale");
    require(!on.store->touch(prefix + "stale", on.unit * 50, on.unit * 90), "a stale entry is not touched");
    const auto stale = get(on, prefix + "stale");
    require(stale && stale->fresh_left <= duration::zero(), "and stays stale");
}

std::uint64_t mark_of(const remote_marks& all, std::string_view what) {
    std::uint64_t found = 0;
    std::uint64_t highest = 0;
    for (const auto& [name, count] : all.marks) {
        require(count != 0, "a mark is above 0");
        require(name != what || found == 0, "each marked name is there once");
        found = name == what ? count : found;
        highest = (std::max)(highest, count);
    }
    require(highest == all.count, "the counter is the highest mark");
    return found;
}

void counts_marks(const subject& on, const std::string& prefix) {
    if (!on.store->capabilities().has_marks) {
        return;
    }
    const auto begin = on.store->marks(prefix);
    require(begin.count != 0, "a new namespace has a counter above 0");
    require(begin.marks.size() == 1 && mark_of(begin, "") == begin.count,
            "a new namespace has all marked with the counter's first value, and nothing else");
    require(on.store->marks(prefix).count == begin.count, "asking again makes no other");
    const auto first = on.store->mark(prefix, "tag");
    const auto second = on.store->mark(prefix, "");
    require(first == begin.count + 1 && second == first + 1, "each mark counts one on");
    const auto after_all = on.store->marks(prefix);
    require(
        after_all.marks.size() == 2 && mark_of(after_all, "tag") == first && mark_of(after_all, "") == second,
        "each marked name is there with its latest count");
    const auto again = on.store->mark(prefix, "tag");
    const auto after_again = on.store->marks(prefix);
    require(again == second + 1 && mark_of(after_again, "tag") == again && after_again.marks.size() == 2,
            "a name marked again has the latest count");
    require(on.store->marks(prefix + "other").marks.size() == 1, "namespaces have marks of their own");
    const auto made = on.store->mark(prefix + "marked", "tag");
    const auto of_made = on.store->marks(prefix + "marked");
    require(made == of_made.count && mark_of(of_made, "tag") == made && mark_of(of_made, "") == made - 1,
            "a counter that a mark makes marks all first");
}

void forgets_all_at_once(const subject& on, const std::string& prefix) {
    if (!on.lose_data) {
        return;
    }
    on.store->put(prefix, entry_of("v", on.unit * 50));
    const auto token = take_lease(on, prefix + "leased", on.unit * 50);
    const bool has_marks = on.store->capabilities().has_marks;
    const std::uint64_t before = has_marks ? on.store->mark(prefix, "tag") : 0;
    on.lose_data();
    require(!get(on, prefix), "lost data reads as a miss");
    require(!on.store->fill(prefix + "leased", token, entry_of("late", on.unit * 50)),
            "a lease that was lost fills nothing");
    const auto next = take_lease(on, prefix + "leased", on.unit * 50);
    require(next != token, "a token is never given twice for a key, also not after a loss");
    require(!on.store->fill(prefix + "leased", token, entry_of("late", on.unit * 50)),
            "a lost token fills nothing");
    if (has_marks) {
        const auto found = on.store->marks(prefix);
        require(found.count > before && mark_of(found, "") == found.count && found.marks.size() == 1,
                "after a loss all is marked with more than was ever counted");
    }
}

}  // namespace

std::vector<remote_store_case> remote_store_contract() {
    return {{"keeps_what_was_put", keeps_what_was_put},
            {"takes_any_key", takes_any_key},
            {"answers_in_order", answers_in_order},
            {"ends_lives", ends_lives},
            {"grants_one_lease", grants_one_lease},
            {"gives_new_tokens", gives_new_tokens},
            {"refuses_late_fills", refuses_late_fills},
            {"extends_leases", extends_leases},
            {"voids_leases", voids_leases},
            {"keeps_the_reserve_under_a_lease", keeps_the_reserve_under_a_lease},
            {"leases_what_is_fresh_if_asked", leases_what_is_fresh_if_asked},
            {"orders_by_version", orders_by_version},
            {"holds_keys_that_are_written", holds_keys_that_are_written},
            {"lets_crossing_writers_end_empty", lets_crossing_writers_end_empty},
            {"frees_keys_of_writers_that_died", frees_keys_of_writers_that_died},
            {"erases_entries", erases_entries},
            {"expires_entries", expires_entries},
            {"touches_what_is_fresh", touches_what_is_fresh},
            {"counts_marks", counts_marks},
            {"forgets_all_at_once", forgets_all_at_once}};
}

}  // namespace levee::testing
