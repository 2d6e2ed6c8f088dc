//! Drops records of level debug, and adds the language and the tag to all others.
//! Build: `pip install ziglang`, then see the Makefile.
const std = @import("std");

const allocator = std.heap.wasm_allocator;

/// What was returned last: it is read before the next call, so it is freed there.
var result: []u8 = &.{};

export fn filter(
    tag: [*]const u8,
    tag_len: u32,
    seconds: u32,
    nanoseconds: u32,
    record: [*]const u8,
    record_len: u32,
) ?[*]const u8 {
    _ = seconds;
    _ = nanoseconds;
    const text = record[0..record_len];
    if (std.mem.find(u8, text, "\"level\":\"debug\"") != null) return null;
    allocator.free(result);
    result = &.{};
    result = std.mem.concat(allocator, u8, &.{
        text[0 .. text.len - 1],
        if (text.len > 2) "," else "",
        "\"lang\":\"Zig\",\"tag\":\"",
        tag[0..tag_len],
        "\"}\x00",
    }) catch @trap();
    return result.ptr;
}

// The host puts tag and record where these two say. A zero-length word before each block keeps its size.
const header = @sizeOf(u32) * 2;

export fn malloc(size: u32) ?[*]u8 {
    const block = allocator.alignedAlloc(u8, .@"8", size + header) catch return null;
    std.mem.writeInt(u32, block[0..4], size, .little);
    return block.ptr + header;
}

export fn free(pointer: [*]u8) void {
    const start: [*]align(8) u8 = @alignCast(pointer - header);
    const size = std.mem.readInt(u32, start[0..4], .little);
    allocator.free(start[0 .. size + header]);
}
