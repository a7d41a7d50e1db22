/// Two caches over one shared level, as two processes would be: a change on one shows on the other; their
/// link is cut, and no value that may be out of date is called fresh; it heals.
#include <levee/async/runtime.hpp>
#include <levee/async/scheduler.hpp>
#include <levee/cache/write_through.hpp>
#include <levee/store/memory_backplane.hpp>
#include <levee/store/memory_store.hpp>
#include <levee/store/source_from.hpp>
#include <levee/testing/chaos_backplane.hpp>

#include <chrono>
#include <cstdio>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

using namespace std::chrono_literals;

namespace {

/// The system of record.
class database {
public:
    std::optional<std::string> find(const std::string& id) {
        const std::lock_guard lock(mutex_);
        std::printf("                       the database is asked for %s\n", id.c_str());
        const auto found = rows_.find(id);
        return found == rows_.end() ? std::nullopt : std::optional(found->second);
    }
    void update(const std::string& id, const std::string& name) {
        const std::lock_guard lock(mutex_);
        rows_[id] = name;
    }

private:
    std::mutex mutex_;
    std::map<std::string, std::string> rows_{{"42", "lamp"}};
};

const char* name_of(levee::entry_state state) {
    switch (state) {
        case levee::entry_state::fresh:
            return "fresh";
        case levee::entry_state::stale:
            return "stale";
        case levee::entry_state::suspect:
            return "suspect";
        case levee::entry_state::negative:
            return "known not to exist";
        case levee::entry_state::miss:
            break;
    }
    return "not there";
}

}  // namespace

int main() {
    database db;
    levee::runtime runtime(2);
    const auto time = levee::async::steady_scheduler(runtime.get_executor());
    const auto began = time->now();
    const auto say = [&](const char* what) {
        std::printf("%5lld ms  %s\n", static_cast<long long>((time->now() - began) / 1ms), what);
    };

    // README begins
    const auto shared = std::make_shared<levee::memory_store>();  // redis::store, when processes share it
    const auto bus = std::make_shared<levee::memory_backplane>();
    const auto source = levee::source_from<std::string, std::string>(
        [&](const std::string& id) { return db.find(id); },
        [&](const levee::write_op<std::string, std::string>& write) { db.update(write.key, *write.value); });

    using product_cache = levee::write_through<std::string, std::string>;
    const auto node = [&](std::shared_ptr<levee::backplane> link) {
        return std::make_unique<product_cache>(
            source, levee::cache_options<std::string, std::string>{
                        .name = "products",
                        .local = {.max_entries = 10'000},
                        .remote = shared,
                        .backplane = std::move(link),
                        .executor = runtime.get_executor(),
                        .blocking_executor = runtime.blocking_executor(),
                        .defaults = {.stale_while_revalidate = 30s, .stale_if_error = 10min}});
    };
    // README ends

    // A link that can be cut; it shows every 200 ms that it works, and is given 100 ms to do so.
    const auto link = std::make_shared<levee::testing::chaos_backplane>(
        bus, time, levee::testing::chaos_backplane_options{.ping_interval = 200ms, .ping_timeout = 100ms});
    const auto a = node(bus);
    const auto b = node(link);

    const auto show = [&](const char* who, product_cache& of) {
        const auto there = of.underlying().try_get("42");  // L1 alone
        const auto state = of.lookup("42");
        std::printf("%5lld ms  %s: L1 %s; with the shared level it is %s, %s\n",
                    static_cast<long long>((time->now() - began) / 1ms), who,
                    there ? ("has " + *there).c_str() : "has nothing fresh",
                    state.value ? state.value->c_str() : "nothing", name_of(state.state));
    };
    const auto get = [&](const char* who, product_cache& of) {
        const auto value = of.get("42");
        std::printf("%5lld ms  %s: get -> %s\n", static_cast<long long>((time->now() - began) / 1ms), who,
                    value ? value->c_str() : "nothing");
    };

    say("both nodes ask: one load, the second finds it in the shared level");
    get("A", *a);
    get("B", *b);

    say("A writes");
    a->put("42", "lantern");
    get("B", *b);

    say("B's link is cut, without a sign");
    link->set_link(levee::testing::chaos_link::is_silent);
    a->put("42", "torch");
    show("B", *b);  // within the bound: the message is lost, and the link has not been missed yet

    std::this_thread::sleep_for(350ms);
    say("ping interval and timeout have passed: B trusts nothing that it has not asked about");
    show("B", *b);
    get("B", *b);

    say("the link is there again: what was missed is not known, so all is asked about once");
    link->set_link(levee::testing::chaos_link::works);
    get("B", *b);
    a->put("42", "candle");
    get("B", *b);

    const auto of_b = b->stats();
    std::printf("\nB: %llu look-ups found a value that might be out of date; %llu were answered with one\n",
                static_cast<unsigned long long>(of_b.suspects),
                static_cast<unsigned long long>(of_b.suspects_served));
}
