#include "history.hpp"

#include <algorithm>
#include <map>
#include <sstream>

namespace levee::tests {
namespace {

/// What has to be seen after which time: the highest value of the changes that had ended by then.
class promises {
public:
    void add(time_point ended, std::uint64_t value) { changes_.push_back({ended, value}); }

    void sort() {
        std::sort(changes_.begin(), changes_.end(), [](const auto& a, const auto& b) { return a.at < b.at; });
        std::uint64_t highest = 0;
        for (auto& each : changes_) {
            highest = each.value = std::max(highest, each.value);
        }
    }

    /// 0: nothing was promised before.
    [[nodiscard]] std::uint64_t before(time_point began) const {
        const auto it = std::lower_bound(changes_.begin(), changes_.end(), began,
                                         [](const auto& each, time_point at) { return each.at < at; });
        return it == changes_.begin() ? 0 : std::prev(it)->value;
    }

private:
    struct change {
        time_point at{};
        std::uint64_t value = 0;
    };
    std::vector<change> changes_;
};

using by_key = std::map<std::uint16_t, promises>;

std::uint64_t promised(const by_key& all, std::uint16_t key, time_point began) {
    const auto it = all.find(key);
    return it == all.end() ? 0 : it->second.before(began);
}

void sort_all(by_key& all) {
    for (auto& [key, each] : all) {
        each.sort();
    }
}

std::string time_of(time_point at) {
    std::ostringstream text;
    text << at.time_since_epoch().count() / 1000 << " us";
    return text.str();
}

class checker {
public:
    checker(const history& of, std::size_t most) : of_(of), most_(most) {}

    void run() {
        for (const auto& process : of_.processes) {
            for (const event& e : process) {
                if (e.what == act::change && e.how == progress::acknowledged) {
                    everywhere_[e.key].add(e.ended, e.value);
                    if (!e.by_mark) {
                        in_store_[e.key].add(e.ended, e.value);
                    }
                }
            }
        }
        sort_all(everywhere_);
        sort_all(in_store_);
        for (std::size_t p = 0; p < of_.processes.size(); ++p) {
            by_key own;  // what G1 speaks of: also what L2 has not confirmed
            for (const event& e : of_.processes[p]) {
                if (e.what == act::change && (e.how == progress::acknowledged || e.how == progress::queued)) {
                    own[e.key].add(e.ended, e.value);
                }
            }
            sort_all(own);
            for (const event& e : of_.processes[p]) {
                check_read(p, e, own);
            }
        }
        check_loads();
    }

    std::vector<std::string> found;
    checked_counts counts;

private:
    void check_read(std::size_t process, const event& e, const by_key& own) {
        if (e.how != progress::done ||
            (e.what != act::read && e.what != act::read_local && e.what != act::read_remote)) {
            return;
        }
        require("G1", counts.g1, process, e, promised(own, e.key, e.began));
        if (e.what == act::read_remote) {
            require("G2", counts.g2, process, e, promised(in_store_, e.key, e.began));
            // What was marked stays in L2, and is invalid for whoever knows of the mark.
            const duration bound = of_.link_bound + of_.marks_interval;
            require("G2 of marks", counts.marks, process, e, promised(everywhere_, e.key, e.began - bound));
        }
        if (e.what == act::read_local) {
            require("G3", counts.g3, process, e, promised(everywhere_, e.key, e.began - of_.link_bound));
        }
    }

    void require(const char* rule, std::uint64_t& count, std::size_t process, const event& e,
                 std::uint64_t at_least) {
        if (at_least == 0) {
            return;
        }
        ++count;
        if (e.value < at_least) {
            std::ostringstream text;
            text << rule << ": process " << process << " read " << e.value << " of key " << e.key << " at "
                 << time_of(e.began) << ", where " << at_least << " or more was promised";
            add(text.str());
        }
    }

    void add(std::string text) {
        if (found.size() < most_) {
            found.push_back(std::move(text));
        }
    }

    // Two loads of one key at the same time, both with a lease, want an excuse: a change of the key, which
    // voids leases, something done to the server, or a load that was silent for longer than its lease.
    void check_loads() {
        struct load {
            std::size_t process;
            const event* what;
        };
        std::map<std::uint16_t, std::vector<load>> loads;
        std::map<std::uint16_t, std::vector<disturbance>> excuses;
        for (std::size_t p = 0; p < of_.processes.size(); ++p) {
            for (const event& e : of_.processes[p]) {
                if (e.what == act::load && e.how == progress::done && e.is_leased &&
                    e.ended - e.began < of_.lease / 2) {
                    loads[e.key].push_back({p, &e});
                } else if (e.what == act::change) {
                    // What was not confirmed is repeated at some time.
                    const bool is_over = e.how == progress::acknowledged || e.how == progress::failed;
                    excuses[e.key].push_back({e.began, is_over ? e.ended : e.began + late});
                }
            }
        }
        for (auto& [key, all] : loads) {
            std::sort(all.begin(), all.end(),
                      [](const load& a, const load& b) { return a.what->began < b.what->began; });
            for (std::size_t i = 0; i + 1 < all.size(); ++i) {
                const event& first = *all[i].what;
                const event& second = *all[i + 1].what;
                const disturbance window{first.began - before_load, second.began};
                if (is_excused(excuses[key], window) ||
                    is_excused(of_.of_server, {window.began - of_.lease, window.ended})) {
                    continue;
                }
                ++counts.g4;  // these two may not have met
                if (second.began >= first.ended) {
                    continue;
                }
                std::ostringstream text;
                text << "G4: processes " << all[i].process << " and " << all[i + 1].process << " loaded key "
                     << key << " at the same time, " << time_of(second.began);
                add(text.str());
            }
        }
    }

    static bool is_excused(const std::vector<disturbance>& by, const disturbance& window) {
        return std::any_of(by.begin(), by.end(), [&](const disturbance& each) {
            return each.began <= window.ended && each.ended >= window.began;
        });
    }

    static constexpr duration late = std::chrono::seconds(20);
    static constexpr duration before_load = std::chrono::milliseconds(300);  // the lease came before it

    const history& of_;
    std::size_t most_;
    by_key everywhere_;  // acknowledged changes of all processes
    by_key in_store_;    // those of them that dropped the key in L2
};

}  // namespace

std::vector<std::string> violations(const history& of, std::size_t most) {
    checker all(of, most);
    all.run();
    return std::move(all.found);
}

checked_counts checked(const history& of) {
    checker all(of, 0);
    all.run();
    return all.counts;
}

}  // namespace levee::tests
