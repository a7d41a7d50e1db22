/// Cache-aside: the program asks the cache, and brings the way to load what is missing.
// README begins
#include <levee/cache/cache.hpp>
// README ends
#include <iostream>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

namespace {

class database {  // stands for yours; counts what reaches it
public:
    std::optional<std::string> find(const std::string& id) {
        const std::lock_guard lock(mutex_);
        ++queries_;
        const auto row = rows_.find(id);
        return row == rows_.end() ? std::nullopt : std::optional(row->second);
    }
    void update(const std::string& id, const std::string& name) {
        const std::lock_guard lock(mutex_);
        rows_[id] = name;
    }
    int queries() const { return queries_; }

private:
    std::mutex mutex_;
    int queries_ = 0;
    std::map<std::string, std::string> rows_{{"42", "Ada"}};
};

}  // namespace

int main() {
    database db;
    // README begins
    levee::cache<std::string, std::string> names({.local = {.max_entries = 100'000}});

    // However many threads ask at once, the database is asked once. Empty: there is no such user.
    auto name_of = [&](const std::string& id) {
        return names.get_or_load(id, [&](const std::string& key) { return db.find(key); });
    };
    auto rename = [&](const std::string& id, const std::string& name) {
        db.update(id, name);
        names.invalidate(id);  // from here on nobody gets what was loaded before
    };
    // README ends
    for (std::vector<std::jthread> threads; threads.size() < 8;) {
        threads.emplace_back([&] { static_cast<void>(name_of("42")); });
    }
    std::cout << "8 threads asked for user 42: " << *name_of("42") << ", queries: " << db.queries() << '\n';
    rename("42", "Grace");
    std::cout << "renamed: " << *name_of("42") << ", queries: " << db.queries() << '\n';
    for (int i = 0; i < 3; ++i) {  // that there is no such user is remembered as well
        std::cout << "user 7 " << (name_of("7") ? "exists" : "does not exist")
                  << ", queries: " << db.queries() << '\n';
    }
}
