#include "redis/reply_parser.hpp"

#include <hiredis/hiredis.h>
#include <hiredis/read.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <new>
#include <string_view>
#include <utility>

#include "levee/redis/error.hpp"

namespace levee::redis::detail {

/// Makes the tree while hiredis walks through the bytes. It goes depth first, so that one array at most is
/// being filled at each depth: `open_` points to those, and an array's vector grows only while none below it
/// is open. hiredis wants a pointer for each object; it gets one that it has no use for.
class reply_builder {
public:
    explicit reply_builder(const reply_limits& limits) : limits_(limits) {}

    [[nodiscard]] const reply_limits& limits() const noexcept { return limits_; }
    [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
    [[nodiscard]] bool is_over() const noexcept { return is_over_; }

    [[nodiscard]] reply take() {
        bytes_ = 0;
        elements_ = 0;
        return std::exchange(root_, reply());
    }

    static void* string(const redisReadTask* task, char* text, std::size_t size) {
        return of(task).add(task, [&](reply& made) {
            made.kind_ = task->type == REDIS_REPLY_STATUS  ? reply_kind::status
                         : task->type == REDIS_REPLY_ERROR ? reply_kind::error
                                                           : reply_kind::string;
            made.text_.assign(text, size);
            of(task).bytes_ += size;
        });
    }

    template <class Count>  // int in hiredis 0.14, size_t in 1.x
    static void* array(const redisReadTask* task, Count count) {
        reply_builder& self = of(task);
        const auto wanted = static_cast<std::size_t>(count);
        if (wanted > self.limits_.elements - self.elements_) {
            self.is_over_ = true;
            return nullptr;
        }
        self.elements_ += wanted;
        return self.add(task, [&](reply& made) {
            made.kind_ = reply_kind::array;
            made.elements_.reserve((std::min)(wanted, std::size_t{1024}));  // a length may be a lie
            self.open_[depth(task)] = &made;
        });
    }

    static void* integer(const redisReadTask* task, long long value) {
        return of(task).add(task, [&](reply& made) {
            made.kind_ = reply_kind::integer;
            made.integer_ = value;
        });
    }

    static void* nil(const redisReadTask* task) {
        return of(task).add(task, [](reply&) {});
    }

    static void free(void* /*object*/) {}

private:
    static reply_builder& of(const redisReadTask* task) {
        return *static_cast<reply_builder*>(task->privdata);
    }

    static std::size_t depth(const redisReadTask* task) {
        std::size_t depth = 0;
        for (; task->parent != nullptr; task = task->parent) {
            ++depth;
        }
        return depth;
    }

    template <class Fill>
    void* add(const redisReadTask* task, const Fill& fill) noexcept {
        try {  // below us is C
            if (task->parent == nullptr) {
                root_ = reply();
                fill(root_);
            } else {
                fill(open_[depth(task) - 1]->elements_.emplace_back());
            }
            return this;
        } catch (...) {
            return nullptr;  // hiredis reports it as out of memory
        }
    }

    reply_limits limits_;
    reply root_{};
    std::array<reply*, 16> open_{};
    std::size_t bytes_ = 0;     // of text in the reply being built
    std::size_t elements_ = 0;  // announced in it
    bool is_over_ = false;
};

namespace {

redisReplyObjectFunctions* functions() {
    static redisReplyObjectFunctions all = [] {
        redisReplyObjectFunctions made{};
        made.createString = &reply_builder::string;
        made.createArray = &reply_builder::array;
        made.createInteger = &reply_builder::integer;
        made.createNil = &reply_builder::nil;
        made.freeObject = &reply_builder::free;
        return made;
    }();
    return &all;
}

}  // namespace

void reply_parser::reader_deleter::operator()(redisReader* reader) const noexcept {
    redisReaderFree(reader);
}

reply_parser::reply_parser(const reply_limits& limits)
    : builder_(std::make_unique<reply_builder>(limits)),
      reader_(redisReaderCreateWithFunctions(functions())) {
    if (reader_ == nullptr) {
        throw std::bad_alloc();
    }
    reader_->privdata = builder_.get();
}

reply_parser::~reply_parser() = default;

bool reply_parser::fail(std::error_code code, std::string message) {
    code_ = code;
    message_ = std::move(message);
    return false;
}

// hiredis moves all that is left in its buffer after each KiB that it consumed: small helpings.
bool reply_parser::feed(const char* data, std::size_t size, std::vector<reply>& complete) {
    constexpr std::size_t helping = 16U << 10U;
    while (size > 0) {
        const std::size_t next = (std::min)(size, helping);
        if (!feed_some(data, next, complete)) {
            return false;
        }
        data += next;
        size -= next;
    }
    return true;
}

bool reply_parser::feed_some(const char* data, std::size_t size, std::vector<reply>& complete) {
    if (code_) {
        return false;
    }
    if (redisReaderFeed(reader_.get(), data, size) != REDIS_OK) {
        return fail(make_error_code(errc::protocol_error), reader_->errstr);
    }
    for (;;) {
        void* done = nullptr;
        const int status = redisReaderGetReply(reader_.get(), &done);
        if (builder_->is_over()) {
            return fail(make_error_code(errc::reply_too_large),
                        "more than " + std::to_string(builder_->limits().elements) + " elements");
        }
        if (status != REDIS_OK) {
            return fail(make_error_code(errc::protocol_error), reader_->errstr);
        }
        if (done == nullptr) {
            return is_within_limits();
        }
        if (builder_->bytes() > builder_->limits().bytes) {
            return fail(make_error_code(errc::reply_too_large),
                        "more than " + std::to_string(builder_->limits().bytes) + " bytes");
        }
        complete.push_back(builder_->take());
    }
}

/// What is complete of the reply, what waits in the buffer, and what the bulk string at hand announces.
bool reply_parser::is_within_limits() {
    const std::string_view waiting(reader_->buf + reader_->pos, reader_->len - reader_->pos);
    std::size_t announced = waiting.size();
    if (reader_->ridx >= 0) {
#if defined(HIREDIS_MAJOR) && HIREDIS_MAJOR >= 1
        const redisReadTask& task = *reader_->task[reader_->ridx];
#else
        const redisReadTask& task = reader_->rstack[reader_->ridx];
#endif
        const std::size_t end = waiting.find('\r');
        if (task.type == REDIS_REPLY_STRING && end != std::string_view::npos) {
            std::size_t length = 0;
            const auto [stop, failure] = std::from_chars(waiting.data(), waiting.data() + end, length);
            static_cast<void>(stop);
            if (failure == std::errc::result_out_of_range) {
                length = (std::numeric_limits<std::size_t>::max)() / 2;
            }
            announced = (std::max)(announced, length);
        }
    }
    const std::size_t most = builder_->limits().bytes;
    if (builder_->bytes() > most || announced > most - builder_->bytes() + 64) {  // 64: the length, line ends
        return fail(make_error_code(errc::reply_too_large), "more than " + std::to_string(most) + " bytes");
    }
    return true;
}

}  // namespace levee::redis::detail
