/// How a key and its value lie in a slot: themselves if they are small and plain, else a pointer to them.
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <utility>

#include "levee/core/clock.hpp"
#include "levee/local/detail/slot_index.hpp"
#include "levee/local/removal_cause.hpp"

namespace levee::local_detail {

/// The end of a life that does not end, in the clock's nanoseconds.
inline constexpr std::int64_t never = (time_point::max)().time_since_epoch().count();

/// When an entry of these times ends, unless it is used; `never`. `idle`: the time to idle, or `never`.
[[nodiscard]] inline std::int64_t end_of_entry(std::int64_t life, std::int64_t use,
                                               std::int64_t idle) noexcept {
    if (idle == never) {
        return life;
    }
    return (std::min)(life, after(time_point(duration(use)), duration(idle)).time_since_epoch().count());
}

/// Whether what ends at `end` has ended.
[[nodiscard]] constexpr bool has_ended_by(std::int64_t now, std::int64_t end) noexcept {
    return now >= end && end != never;
}

/// What the type-free parts know of a node.
struct node_base {
    std::uint64_t hash = 0;
    std::int64_t life = never;  ///< Fixed before it is published.
    std::int64_t use = 0;       ///< When it was last used, by std::atomic_ref; only with a time to idle.
    node_base* next_retired = nullptr;
    node_base* next_removed = nullptr;
    /// Who needs it beyond its epoch: raised under the shard's lock, while it can be found or is being
    /// removed. With `orphaned`, everybody else is done with it: who drops the last hold frees it.
    std::atomic<std::uint32_t> holds{0};
    removal_cause cause{};

    static constexpr std::uint32_t orphaned = std::uint32_t{1} << 31;

    /// Everybody but those who hold it is done with it. True: nobody holds it, the caller frees it.
    [[nodiscard]] bool let_go() noexcept {
        return holds.load(std::memory_order_acquire) == 0 ||
               holds.fetch_or(orphaned, std::memory_order_acq_rel) == 0;
    }
};

/// A key and its value: immutable once published, freed when no reader can see it.
template <class K, class V>
struct node : node_base {
    template <class Value>
    node(K&& k, Value&& v) : key(std::move(k)), value(std::forward<Value>(v)) {}

    const K key;
    const V value;
};

/// Not under a lock: it may run the destructors of K and V.
template <class K, class V>
void drop_hold(node_base* held) noexcept {
    // Release what was read of it; acquire what others did, before it is freed.
    if (held->holds.fetch_sub(1, std::memory_order_acq_rel) == (node_base::orphaned | 1U)) {
        delete static_cast<node<K, V>*>(held);
    }
}

/// The unsigned integer of so many bytes; void: there is none.
template <std::size_t bytes>
using unsigned_of = std::conditional_t<
    bytes == 1, std::uint8_t,
    std::conditional_t<
        bytes == 2, std::uint16_t,
        std::conditional_t<bytes == 4, std::uint32_t, std::conditional_t<bytes == 8, std::uint64_t, void>>>>;

/// What a small value is kept as: an integer, since that is aligned to its size (of a struct of two ints,
/// clang makes no lock-free atomic), and can be compared whatever the value's padding is.
template <class V>
using value_bits = unsigned_of<sizeof(V)>;

template <class T>
inline constexpr bool is_atomic_value = [] {
    if constexpr (std::is_trivially_copyable_v<T> && std::is_copy_constructible_v<T> && !std::is_const_v<T> &&
                  !std::is_void_v<value_bits<T>>) {
        return alignof(value_bits<T>) == sizeof(T) && std::atomic_ref<value_bits<T>>::is_always_lock_free;
    }
    return false;
}();

/// Whether they lie in the slot itself: the value can be replaced by one atomic store.
template <class K, class V>
inline constexpr bool lies_in_slot = is_atomic_value<V> && std::is_trivially_copyable_v<K> &&
                                     std::is_copy_constructible_v<K> && sizeof(K) <= 16 && alignof(K) <= 8;

/// A value in a slot, read and replaced as a whole.
template <class V>
class value_cell {
public:
    using bits_type = value_bits<V>;

    explicit value_cell(bits_type& bits) noexcept : bits_(bits) {}

    [[nodiscard]] V load(std::memory_order order) const noexcept {
        return std::bit_cast<V>(bits_.load(order));
    }
    void store(const V& value, std::memory_order order) const noexcept {
        bits_.store(std::bit_cast<bits_type>(value), order);
    }
    /// The same until it is replaced, padding included.
    [[nodiscard]] bits_type load_bits(std::memory_order order) const noexcept { return bits_.load(order); }

private:
    static_assert(alignof(bits_type) >= std::atomic_ref<bits_type>::required_alignment);

    std::atomic_ref<bits_type> bits_;
};

template <class K, class V>
struct small_entry {
    small_entry(const K& k, const V& v) noexcept : key(k), value(std::bit_cast<value_bits<V>>(v)) {}

    K key;
    value_bits<V> value;

    [[nodiscard]] static const small_entry& in(const std::byte* slot) noexcept {
        return *reinterpret_cast<const small_entry*>(slot);
    }
    [[nodiscard]] static value_cell<V> value_in(std::byte* slot) noexcept {
        return value_cell<V>(reinterpret_cast<small_entry*>(slot)->value);
    }
};

/// The pointer in a slot. Release when stored; pairs with the acquire of readers.
[[nodiscard]] inline std::atomic_ref<node_base*> node_in(const std::byte* slot) noexcept {
    return std::atomic_ref(*reinterpret_cast<node_base**>(const_cast<std::byte*>(slot)));
}

/// A pair on its way in.
template <class K, class V>
struct small_draft {
    small_draft(std::uint64_t its_hash, K&& k, V&& v) : hash(its_hash), pair_key(k), pair_value(v) {}

    [[nodiscard]] const K& key() const noexcept { return pair_key; }
    [[nodiscard]] const V& value() const noexcept { return pair_value; }

    std::uint64_t hash;
    std::size_t weight = 1;
    K pair_key;
    V pair_value;
};

template <class K, class V>
struct node_draft {
    node_draft(std::uint64_t its_hash, K&& k, V&& v)
        : hash(its_hash), made(std::make_unique<node<K, V>>(std::move(k), std::move(v))) {
        made->hash = its_hash;
    }

    [[nodiscard]] const K& key() const noexcept { return made->key; }
    [[nodiscard]] const V& value() const noexcept { return made->value; }

    std::uint64_t hash;
    std::size_t weight = 1;
    std::unique_ptr<node<K, V>> made;  // null once it is stored
};

template <class K, class V>
using draft = std::conditional_t<lies_in_slot<K, V>, small_draft<K, V>, node_draft<K, V>>;

/// Bytes of a slot before its times.
template <class K, class V>
[[nodiscard]] constexpr std::size_t slot_payload() noexcept {
    if constexpr (lies_in_slot<K, V>) {
        return sizeof(small_entry<K, V>);
    } else {
        return sizeof(node_base*);
    }
}

}  // namespace levee::local_detail
