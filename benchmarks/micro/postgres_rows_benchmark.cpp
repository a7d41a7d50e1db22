// Many rows at once beside plain libpq, on the server of postgres_benchmark.cpp: 64 keys in one question,
// upserts of 1,000 rows, COPY.
#include <benchmark/benchmark.h>
#include <libpq-fe.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "levee/core/random.hpp"
#include "levee/postgres/pool.hpp"
#include "levee/postgres/table_source.hpp"
#include "postgres_world.hpp"

namespace {

namespace postgres = levee::postgres;
using namespace levee::bench;

constexpr int asked = 64;
constexpr int warm_up_questions = 30;

void load_many_levee(benchmark::State& state) {
    guarded(state, [&] {
        postgres::table_source<std::int64_t, std::string> items(here().connect(false), {.table = "items"});
        levee::splitmix64 random(1);
        const auto load = [&] {
            std::vector<levee::load_request<std::int64_t, std::string>> wanted(asked);
            for (auto& each : wanted) {
                each.key = next_key(random);
            }
            const auto found = items.load(std::move(wanted));
            check(found.size() == asked, "not all keys were answered");
            for (const auto& each : found) {
                check_value(each.value.value());
            }
        };
        measure(state, warm_up_questions, asked, load);
    });
}

void put(std::string& text, std::uint32_t value) {
    value = __builtin_bswap32(value);
    text.append(reinterpret_cast<const char*>(&value), sizeof value);
}

/// What begins an array of one dimension as the server reads it, by hand.
std::string begin_array(std::uint32_t type, std::size_t size) {
    std::string text;
    for (const std::uint32_t value : {1U, 0U, type, static_cast<std::uint32_t>(size), 1U}) {
        put(text, value);
    }
    return text;
}

std::string array_of(const std::vector<std::int64_t>& numbers) {
    std::string text = begin_array(20, numbers.size());
    for (const std::int64_t each : numbers) {
        put(text, 8);
        const std::uint64_t value = __builtin_bswap64(static_cast<std::uint64_t>(each));
        text.append(reinterpret_cast<const char*>(&value), sizeof value);
    }
    return text;
}

std::string array_of(const std::vector<std::string>& texts) {
    std::string text = begin_array(25, texts.size());
    for (const std::string& each : texts) {
        put(text, static_cast<std::uint32_t>(each.size()));
        text += each;
    }
    return text;
}

void load_many_libpq(benchmark::State& state) {
    guarded(state, [&] {
        const plain db(false);
        db.prepare("SELECT key, value FROM items WHERE key = ANY($1::int8[])");
        levee::splitmix64 random(1);
        const auto load = [&] {
            std::vector<std::int64_t> wanted(asked);
            for (auto& each : wanted) {
                each = next_key(random);
            }
            const std::string array = array_of(wanted);
            const char* const value = array.data();
            const int length = static_cast<int>(array.size());
            const int format = 1;
            PGresult* const answer =
                plain::checked(PQexecPrepared(db.get(), "s", 1, &value, &length, &format, 0));
            std::vector<std::string> values;
            for (int i = 0; i < PQntuples(answer); ++i) {
                values.emplace_back(PQgetvalue(answer, i, 1));
            }
            PQclear(answer);
            check(values.size() >= asked / 2, "not all keys were answered");  // some were drawn twice
            for (const std::string& each : values) {
                check_value(each);
            }
        };
        measure(state, warm_up_questions, asked, load);
    });
}

constexpr int upserted = 1000;

constexpr int warm_up_batches = 8;  // more than plans are made anew for

void upsert_levee(benchmark::State& state) {
    guarded(state, [&] {
        const auto db = here().connect(false);
        postgres::table_source<std::int64_t, std::string> items(db, {.table = "items"});
        levee::splitmix64 random(1);
        std::int64_t last = 0;
        const auto store = [&] {
            std::int64_t key = next_key(random);
            std::vector<levee::write_op<std::int64_t, std::string>> writes(upserted);
            for (auto& each : writes) {  // every key once: what is written by hand cannot take one twice
                key = (key + 7) % keys;
                each.key = key;
                each.value = std::string(value_bytes, 'w');
            }
            check(items.store(std::move(writes)).size() == upserted, "not all rows were written");
            last = key;
        };
        measure(state, warm_up_batches, upserted, store);
        check(db->query(by_key, last).value<std::string>().front() == 'w', "not written");
    });
}

void upsert_libpq(benchmark::State& state) {
    guarded(state, [&] {
        const plain db(false);
        db.prepare(
            "INSERT INTO items (key, value) SELECT * FROM unnest($1::int8[], $2::text[]) "
            "ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value");
        levee::splitmix64 random(1);
        const auto store = [&] {
            std::int64_t key = next_key(random);
            std::vector<std::int64_t> numbers;
            std::vector<std::string> texts;
            for (int i = 0; i < upserted; ++i) {
                key = (key + 7) % keys;
                numbers.push_back(key);
                texts.emplace_back(value_bytes, 'w');
            }
            const std::string first = array_of(numbers);
            const std::string second = array_of(texts);
            const char* const values[] = {first.data(), second.data()};
            const int lengths[] = {static_cast<int>(first.size()), static_cast<int>(second.size())};
            const int formats[] = {1, 1};
            PGresult* const answer =
                plain::checked(PQexecPrepared(db.get(), "s", 2, values, lengths, formats, 0));
            check(std::string_view(PQcmdTuples(answer)) == std::to_string(upserted),
                  "not all rows were written");
            PQclear(answer);
        };
        measure(state, warm_up_batches, upserted, store);
    });
}

constexpr int copied = 20'000;

/// Rows as COPY's text format has them, in pieces of some 64 KiB.
std::vector<std::string> copy_pieces() {
    std::vector<std::string> pieces(1);
    for (int i = 0; i < copied; ++i) {
        if (pieces.back().size() > 65'000) {
            pieces.emplace_back();
        }
        pieces.back() += std::to_string(i) + "\t" + std::string(value_bytes, 'c') + "\n";
    }
    return pieces;
}

constexpr const char* copy_statement = "COPY copied FROM STDIN";

/// The table is emptied after each.
template <class F>
void measure_copies(benchmark::State& state, F&& copy) {
    copy();
    here().server.execute("TRUNCATE copied");
    const cpu_meter meter;
    for (auto _ : state) {
        copy();
        state.PauseTiming();
        here().server.execute("TRUNCATE copied");
        state.ResumeTiming();
    }
    meter.report(state, state.iterations() * copied);
}

void copy_levee(benchmark::State& state) {
    guarded(state, [&] {
        const auto db = here().connect(false);
        const std::vector<std::string> pieces = copy_pieces();
        const auto copy = [&] {
            const std::uint64_t rows = db->with_connection([&](postgres::connection& on) {
                std::size_t next = 0;
                return on.copy_in(copy_statement, [&] {
                    return next < pieces.size() ? std::string_view(pieces[next++]) : std::string_view();
                });
            });
            check(rows == copied, "not all rows were copied");
        };
        measure_copies(state, copy);
    });
}

void copy_libpq(benchmark::State& state) {
    guarded(state, [&] {
        const plain db(false);
        const std::vector<std::string> pieces = copy_pieces();
        const auto copy = [&] {
            db.execute(copy_statement);
            for (const std::string& each : pieces) {
                check(PQputCopyData(db.get(), each.data(), static_cast<int>(each.size())) == 1, "not sent");
            }
            check(PQputCopyEnd(db.get(), nullptr) == 1, "not sent");
            PGresult* const answer = plain::checked(PQgetResult(db.get()));
            check(std::string_view(PQcmdTuples(answer)) == std::to_string(copied),
                  "not all rows were copied");
            PQclear(answer);
            PQclear(PQgetResult(db.get()));
        };
        measure_copies(state, copy);
    });
}

LEVEE_POSTGRES_BENCHMARK(load_many_levee, "postgres 64 keys/levee table_source");
LEVEE_POSTGRES_BENCHMARK(load_many_libpq, "postgres 64 keys/reference libpq = ANY");
LEVEE_POSTGRES_BENCHMARK(upsert_levee, "postgres upsert of 1,000 rows/levee table_source");
LEVEE_POSTGRES_BENCHMARK(upsert_libpq, "postgres upsert of 1,000 rows/reference libpq unnest");
LEVEE_POSTGRES_BENCHMARK(copy_levee, "postgres COPY of 20,000 rows/levee");
LEVEE_POSTGRES_BENCHMARK(copy_libpq, "postgres COPY of 20,000 rows/reference libpq");

}  // namespace
