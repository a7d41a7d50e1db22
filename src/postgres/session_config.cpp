#include "postgres/session_config.hpp"

#include <stdexcept>
#include <string_view>
#include <utility>

namespace levee::postgres {
namespace {

[[noreturn]] void refuse(const std::string& field, const std::string& value, const std::string& range) {
    throw std::invalid_argument("connection_options::" + field + " is " + value + "; it must be " + range);
}

void check_positive(const char* field, duration value) {
    if (value <= duration::zero()) {
        refuse(field, std::to_string(value.count()) + " ns", "above zero");
    }
}

}  // namespace

void validate(const connection_options& options) {
    if (!options.executor) {
        refuse("executor", "empty", "set");
    }
    check_positive("statement_timeout", options.statement_timeout);
    check_positive("connect_timeout", options.connect_timeout);
    check_positive("cancel_timeout", options.cancel_timeout);
    if (options.max_prepared > 65'535) {
        refuse("max_prepared", std::to_string(options.max_prepared), "at most 65535");
    }
    if (options.max_pending == 0) {
        refuse("max_pending", "0", "above zero");
    }
    if (options.max_notifications == 0) {
        refuse("max_notifications", "0", "above zero");
    }
    constexpr std::string_view nothing_of_a_name("= \\\t\n\v\f\r\0", 9);
    for (const auto& [name, value] : options.settings) {
        if (name.empty() || name.find_first_of(nothing_of_a_name) != std::string::npos) {
            refuse("settings", "named \"" + name + "\"", "the name of a setting");
        }
        if (value.find('\0') != std::string::npos) {
            refuse("settings", "of \"" + name + "\" a value with a NUL", "free of NUL");
        }
    }
}

}  // namespace levee::postgres

namespace levee::postgres::detail {
namespace {

struct options_freer {
    void operator()(PQconninfoOption* freed) const noexcept { PQconninfoFree(freed); }
};
using parsed_options = std::unique_ptr<PQconninfoOption, options_freer>;

using word_map = std::map<std::string, std::string>;

void add_words(word_map& to, const PQconninfoOption* from) {
    for (; from != nullptr && from->keyword != nullptr; ++from) {
        if (from->val != nullptr && from->val[0] != '\0') {
            to[from->keyword] = from->val;
        }
    }
}

word_map words_of(const connection_options& options) {
    word_map words;
    if (!options.uri.empty()) {
        char* complaint = nullptr;
        const parsed_options parsed(PQconninfoParse(options.uri.c_str(), &complaint));
        PQfreemem(complaint);  // it may repeat what it did not understand, a password included
        if (parsed == nullptr) {
            refuse("uri", "not shown", "a connection string: \"postgresql://…\" or \"host=… dbname=…\"");
        }
        add_words(words, parsed.get());
        if (words.contains("service")) {
            // libpq reads that file when it connects, too late for who is to be connected to.
            refuse("uri", "service=" + words["service"],
                   "without service=; the environment variable PGSERVICE names one, too");
        }
    }
    const auto replace = [&](const char* word, const std::string& value) {
        if (!value.empty()) {
            words[word] = value;
        }
    };
    if (!options.host.empty()) {
        words.erase("hostaddr");
    }
    replace("host", options.host);
    replace("port", options.port);
    replace("dbname", options.database);
    replace("user", options.user);
    replace("password", options.password);
    replace("application_name", options.application_name);
    return words;
}

std::string take(word_map& words, const char* word, const word_map& otherwise) {
    std::string value;
    if (const auto at = words.find(word); at != words.end()) {
        value = at->second;
        words.erase(at);
    } else if (const auto by_default = otherwise.find(word); by_default != otherwise.end()) {
        value = by_default->second;
    }
    return value;
}

/// As the server splits the words of `options`: at whatever isspace takes for a blank.
std::string escaped(const std::string& value) {
    std::string text;
    for (const char each : value) {
        if (each == '\\' || std::string_view(" \t\n\v\f\r").find(each) != std::string_view::npos) {
            text.push_back('\\');
        }
        text.push_back(each);
    }
    return text;
}

}  // namespace

session_config::session_config(connection_options chosen) : options(std::move(chosen)) {
    validate(options);
    if (options.scheduler == nullptr) {
        options.scheduler = async::steady_scheduler(options.executor);
    }
    words = words_of(options);
    word_map defaults;  // the environment, and what libpq was built with
    const parsed_options by_default(PQconndefaults());
    add_words(defaults, by_default.get());
    const bool names_hosts = words.contains("host") || words.contains("hostaddr");
    const std::string hosts = take(words, "host", defaults);
    const std::string addresses = take(words, "hostaddr", names_hosts ? word_map() : defaults);
    servers = pair_up(hosts, addresses, take(words, "port", defaults));
    const std::string wanted = take(words, "target_session_attrs", defaults);
    const auto said = role_of(wanted.empty() ? "any" : wanted);
    if (!said) {
        refuse("uri", "target_session_attrs=" + wanted, "one of libpq's words");
    }
    role = options.role == server_role::any ? *said : options.role;
    words.erase("connect_timeout");  // libpq heeds it in its blocking functions only
    words.erase("client_encoding");
    words.try_emplace("application_name", "levee");
    std::string& startup = words["options"];
    if (startup.empty() && !options.settings.empty()) {
        startup = defaults["options"];  // libpq would not look there any more
    }
    for (const auto& [name, value] : options.settings) {
        startup += (startup.empty() ? "-c " : " -c ") + name + '=' + escaped(value);
    }
    for (const server_address& each : servers) {
        if (!options.blocking_executor && is_name(each)) {
            refuse("blocking_executor", "empty",
                   "set where a host (" + each.host + ") is a name to be looked up");
        }
    }
}

pg_connection begin_connecting(const session_config& config, const connect_plan::attempt& to) {
    std::vector<const char*> names;
    std::vector<const char*> values;
    const auto add = [&](const char* name, const std::string& value) {
        if (!value.empty()) {
            names.push_back(name);
            values.push_back(value.c_str());
        }
    };
    const std::string attributes = to.session_attributes;
    const std::string encoding = "UTF8";
    for (const auto& [name, value] : config.words) {
        add(name.c_str(), value);
    }
    add("host", to.where.host);
    add("hostaddr", to.where.address);
    add("port", to.where.port);
    add("target_session_attrs", attributes);
    add("client_encoding", encoding);
    names.push_back(nullptr);
    values.push_back(nullptr);
    pg_connection begun(PQconnectStartParams(names.data(), values.data(), 0));
    if (begun == nullptr) {
        throw std::bad_alloc();
    }
    PQsetNoticeReceiver(begun.get(), [](void*, const PGresult*) {}, nullptr);  // libpq's own prints
    return begun;
}

std::string without_password(const session_config& config, std::string text) {
    const auto at = config.words.find("password");
    if (at == config.words.end() || at->second.empty()) {
        return text;
    }
    for (std::size_t hit = 0; (hit = text.find(at->second, hit)) != std::string::npos; hit += 3) {
        text.replace(hit, at->second.size(), "***");
    }
    return text;
}

}  // namespace levee::postgres::detail
