/// Many keys at once with one query, and invalidations that follow a transaction.
#include <iostream>
#include <levee/cache/cache.hpp>
#include <map>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

struct product {
    std::string name;
    int price = 0;
};

class database {  // stands for yours; counts what reaches it
public:
    std::vector<std::optional<product>> find_all(const std::vector<std::string>& ids) {
        const std::lock_guard lock(mutex_);
        ++queries_;
        std::vector<std::optional<product>> found;
        for (const std::string& id : ids) {
            const auto row = rows_.find(id);
            found.push_back(row == rows_.end() ? std::nullopt : std::optional(row->second));
        }
        return found;
    }
    int queries() const { return queries_; }

    /// Changes that are made together by `commit`, or not at all.
    class transaction {
    public:
        explicit transaction(database& in) : in_(in) {}
        void set_price(const std::string& id, int price) { prices_[id] = price; }
        void commit() {
            const std::lock_guard lock(in_.mutex_);
            for (const auto& [id, price] : prices_) {
                if (price < 0) {
                    throw std::domain_error("a price below zero");
                }
            }
            for (const auto& [id, price] : prices_) {
                in_.rows_[id].price = price;
            }
        }

    private:
        database& in_;
        std::map<std::string, int> prices_;
    };

private:
    std::mutex mutex_;
    int queries_ = 0;
    std::map<std::string, product> rows_{{"1", {"pen", 2}}, {"2", {"ink", 5}}, {"3", {"paper", 4}}};
};

}  // namespace

int main() {
    database db;
    levee::cache<std::string, product> products({.local = {.max_entries = 100'000}});

    // README begins
    // One query for all that is missing; in the order of the ids, empty where there is no such product.
    const auto show = [&](const std::vector<std::string>& ids) {
        return products.get_or_load_many(
            ids, [&](const std::vector<std::string>& missing) { return db.find_all(missing); });
    };
    const auto set_prices = [&](const std::map<std::string, int>& prices) {
        auto changed = products.defer();
        database::transaction t(db);
        for (const auto& [id, price] : prices) {
            t.set_price(id, price);
            changed.invalidate(id);
        }
        t.commit();  // throws: nothing was changed, and nothing is invalidated
        changed.commit();
    };
    // README ends
    const auto print = [&](const std::vector<std::string>& ids) {
        for (const auto& each : show(ids)) {
            std::cout << (each ? each->name + ' ' + std::to_string(each->price) : "none") << ", ";
        }
        std::cout << "queries: " << db.queries() << '\n';
    };
    print({"1", "2", "7", "1"});
    print({"3", "2", "1"});
    set_prices({{"1", 3}, {"2", 6}});
    print({"1", "2", "3"});
    try {
        set_prices({{"3", -1}});
    } catch (const std::domain_error& e) {
        std::cout << e.what() << ": nothing was changed\n";
    }
    print({"1", "2", "3"});
}
