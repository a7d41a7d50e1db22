/// The journal's files, version 1: what a tool needs to read them.
#pragma once

#include <cstddef>
#include <cstdint>

// clang-format off
/// A folder holds
///
///     lock                        flock(2)ed by the owner; its process number, as text
///     0000000000000001.journal    segments: 16 hexadecimal digits, counting up, never used twice
///     0000000000000001.repair     a segment being rewritten while the journal is opened
///     0000000000000001.corrupt    (.corrupt.1, …) a damaged segment, kept aside as it was found
///
/// A segment is a header and then records without gaps. All numbers are little-endian, all checksums CRC-32C
/// (Castagnoli: polynomial 0x1EDC6F41 reflected, as in iSCSI, RFC 3720 B.4).
///
///     segment header, 64 bytes                          record, 32 bytes and the payload
///      0  u32 magic "LVSG"                               0  u32 magic "LVRC"
///      4  u32 checksum of bytes 8 to 63                  4  u32 checksum of bytes 8 to 31
///      8  u32 version: 1                                 8  u32 length of the payload
///     12  u32 flags: see below                          12  u32 checksum of the payload
///     16  u64 number, as in the name                    16  u64 sequence; of a mark: the last one's before it
///     24  u64 first sequence it may hold                24  u32 records before this one, at most, that were
///     32  u64 mark: all up to this is released                  not on the medium when this was appended;
///     40  u64 number of the segment before; 0: none             0xFFFFFFFF: not known
///     48  u64 bytes of that one that count              28  u8  kind: 1 record, 2 mark
///     56  u64 of a repaired one: its own length         29  3 bytes: 0
///                                                       32  payload; of a mark: u64: all up to this is
///                                                           released
///
/// Flags: 1: rewritten when the journal was opened; its own length counts. 2: what came before it had not
/// been synced when it was begun (`journal_sync::off`).
///
/// Sequences rise within a segment and from one to the next. The header says what counts of the segment
/// before, because that may have been given up or torn: behind those bytes anything may follow. Of the last
/// segment everything readable counts. A segment that no later header names as the one before, although there
/// is a later one, is void: it was given up before it held anything.
///
/// Header and payload have checksums of their own, so that a damaged payload does not hide where the next
/// record begins; behind a damaged header the next record is found by its magic and its checksums.
///
/// A reader refuses a higher version; fields may be added only with one.
// clang-format on
namespace levee::journal_format {

inline constexpr std::uint32_t version = 1;
inline constexpr std::uint32_t segment_magic = 0x4753564c;  // "LVSG"
inline constexpr std::uint32_t record_magic = 0x4352564c;   // "LVRC"
inline constexpr std::size_t segment_header_size = 64;
inline constexpr std::size_t record_header_size = 32;
inline constexpr std::size_t mark_size = record_header_size + 8;
inline constexpr std::uint32_t repaired_flag = 1;
inline constexpr std::uint32_t unsynced_flag = 2;
inline constexpr std::uint32_t unknown_lag = 0xffffffff;

enum class record_kind : std::uint8_t { record = 1, mark = 2 };

}  // namespace levee::journal_format
