// The whole local cache beside a model, under libFuzzer: the bytes choose the options and the operations.
// What the cache holds is what the model has, or was evicted; its bounds hold after each operation, and it
// agrees with itself at the end. Built where the compiler is clang, as the target levee_local_cache_fuzz.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>

#include "levee/local/local_cache.hpp"
#include "support/manual_clock_stub.hpp"

namespace {

using namespace std::chrono_literals;
using cache_type = levee::local_cache<int, int>;

void require(bool is_so) {
    if (!is_so) {
        std::abort();
    }
}

class input {
public:
    input(const std::uint8_t* data, std::size_t size) : at_(data), end_(data + size) {}
    [[nodiscard]] bool is_over() const { return at_ == end_; }
    int next() { return is_over() ? 0 : *at_++; }

private:
    const std::uint8_t* at_;
    const std::uint8_t* end_;
};

struct known {
    int value;
    levee::time_point ends;
};

std::optional<std::pair<int, int>> decoded(std::string_view bytes) {
    const std::size_t at = bytes.find('=');
    return std::pair(std::stoi(std::string(bytes.substr(0, at))),
                     std::stoi(std::string(bytes.substr(at + 1))));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    input in(data, size);
    levee::test::manual_clock_stub clock;
    const int kind = in.next();
    const bool is_weighed = kind % 2 == 1;
    const bool is_roomy = kind / 2 % 2 == 1;  // nothing is evicted: the model knows exactly what is there
    levee::local_cache_options<int, int> options{
        .max_entries = is_roomy ? 4096U : 1U + static_cast<std::size_t>(in.next()) % 40U,
        .clock = &clock,
        .shards = 1};
    if (is_weighed) {
        options.max_weight = is_roomy ? 1'000'000U : 100U;
        options.weigher = [](int, int value) { return static_cast<std::size_t>(value) % 8U + 1U; };
    }
    const std::size_t most = options.max_entries;
    cache_type cache(std::move(options));
    std::map<int, known> model;
    const auto store = [&](int key, int value, levee::time_point ends) {
        model.insert_or_assign(key, known{value, ends});
    };
    const auto find = [&](int key) {
        const auto at = model.find(key);
        if (at != model.end() && clock.now() >= at->second.ends) {
            model.erase(at);
            return model.end();
        }
        return at;
    };
    int value = 0;
    while (!in.is_over()) {
        const int what = in.next();
        const int key = in.next() % 64;
        ++value;
        const auto at = find(key);
        const bool is_known = at != model.end();
        const auto ever = (levee::time_point::max)();
        switch (what % 10) {
            case 0:
                cache.put(key, value);
                store(key, value, ever);
                break;
            case 1: {
                const auto ttl = std::chrono::milliseconds(1 + in.next() * 10);
                cache.put(key, value, ttl);
                store(key, value, clock.now() + ttl);
                break;
            }
            case 2: {
                const bool is_new = cache.insert(key, value);
                require(is_known || is_new);
                require(!is_roomy || is_new == !is_known);
                if (is_new) {
                    store(key, value, ever);
                }
                break;
            }
            case 3: {
                const bool was_there = cache.invalidate(key);
                require(is_roomy ? was_there == is_known : !was_there || is_known);
                model.erase(key);
                break;
            }
            case 4: {
                bool was_there = false;
                cache.compute(key, [&](std::optional<int> old) -> std::optional<int> {
                    was_there = old.has_value();
                    require(!old || (is_known && *old == at->second.value));
                    return old ? std::nullopt : std::optional(value);
                });
                model.erase(key);
                if (!was_there) {
                    store(key, value, ever);
                }
                break;
            }
            case 5:
                clock.advance(std::chrono::milliseconds(in.next() * 20));
                cache.run_pending_work();
                break;
            case 6: {
                const auto lease = cache.begin_fill(key);
                if (in.next() % 2 == 0) {
                    cache.invalidate(key);
                    model.erase(key);
                    require(!cache.fill(lease, key, value));
                } else if (cache.fill(lease, key, value)) {
                    store(key, value, ever);
                } else {
                    require(!is_roomy);
                }
                break;
            }
            case 7:
                if (key < 4) {
                    cache.clear();
                    model.clear();
                }
                break;
            case 8: {
                std::stringstream bytes;
                cache.snapshot(bytes, [](int k, int v, std::string& to) {
                    to += std::to_string(k) + '=' + std::to_string(v);
                });
                cache_type other({.max_entries = 4096, .clock = &clock, .shards = 1});
                other.restore(bytes, decoded);
                require(other.estimated_size() <= most);
                require(other.peek(key) == cache.peek(key));
                break;
            }
            default: {
                const auto found = cache.get(key);
                require(!found || (is_known && *found == at->second.value));
                require(!is_roomy || found.has_value() == is_known);
                break;
            }
        }
        require(cache.estimated_size() <= most);
    }
    require(cache.is_consistent());
    return 0;
}
