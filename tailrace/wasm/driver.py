"""Text of the driver: a small module that calls the user's function for a whole batch, so that the host calls once.

It imports the user's memory `$g` and function, and has a memory `$d` of its own, which the host fills and reads:

    0   index of the record being worked on    32  begin of the results
    4   number of records                      36  end of the room for results
    8   the tag, 12 its length                 40  the separator, 44 its length (at most 16)
    16  times (i64, ns)                        48  end of the results so far
    20  lengths of the records (i32)           52  the record being worked on
    24  lengths of the results (i32)           56  length of the tag's room in the user's memory

Each record stands with a zero byte behind it. `run` answers 0: all done; 1: no room for the next result: take what is
there, set 48, run again; 2: the user's memory is full; 3: the user's allocator took the driver's room in it.
A length of a result is that of its text; 0: none, the record is dropped; or one of the negative words below.
Behind each result stands the separator.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

UNCHANGED, BAD_POINTER, NOT_A_MAP, NO_ROOM = -1, -2, -3, -4
DONE, DRAIN, NO_MEMORY, OVERWRITTEN = 0, 1, 2, 3
PAGE = 65536
HEADER_BYTES = 64 + 128

Allocator = Literal["malloc", "__new", "grow"]

ALLOC = {
    # Asked of the module's own allocator, and given back when a larger room is needed.
    "malloc": """
  (func $alloc (param $need i32) (result i32)
    (if (global.get $buf) (then (call $free (global.get $buf))))
    (global.set $cap (i32.const 0))
    (global.set $buf (call $malloc (local.get $need)))
    (if (i32.eqz (global.get $buf)) (then (return (i32.const 0))))
    (global.set $cap (local.get $need))
    (i32.const 1))""",
    # AssemblyScript's: what is pinned, its collector leaves alone.
    "__new": """
  (func $alloc (param $need i32) (result i32)
    (if (global.get $buf) (then (call $free (global.get $buf))))
    (global.set $cap (i32.const 0))
    (global.set $buf (call $pin (call $malloc (local.get $need) (i32.const 0))))
    (if (i32.eqz (global.get $buf)) (then (return (i32.const 0))))
    (global.set $cap (local.get $need))
    (i32.const 1))""",
    # Pages that the module's allocator does not know of, the first behind a gap of which see `guest`.
    "grow": """
  (func $alloc (param $need i32) (result i32)
    (local $at i32)
    (local.set $at (memory.grow $g (i32.add (global.get $gap)
      (i32.shr_u (i32.add (local.get $need) (i32.const 65535)) (i32.const 16)))))
    (if (i32.eq (local.get $at) (i32.const -1)) (then (return (i32.const 0))))
    (global.set $buf (i32.shl (i32.add (local.get $at) (global.get $gap)) (i32.const 16)))
    (global.set $gap (i32.const 0))
    (global.set $cap (local.get $need))
    (i32.const 1))""",
}
IMPORTS = {
    "malloc": """
  (import "guest" "malloc" (func $malloc (param i32) (result i32)))
  (import "guest" "free" (func $free (param i32)))""",
    "__new": """
  (import "guest" "__new" (func $malloc (param i32 i32) (result i32)))
  (import "guest" "__pin" (func $pin (param i32) (result i32)))
  (import "guest" "__unpin" (func $free (param i32)))""",
    "grow": "",
}

TAKE_TEXT = """
  ;; Copies the text at $p to $out; its length, or a negative word.
  (func $take (param $p i32) (param $out i32) (param $end i32) (param $rec i32) (param $len i32) (result i32)
    (local $start i32) (local $limit i64) (local $x i64) (local $diff i64)
    (local.set $start (local.get $p))
    (local.set $limit (i64.shl (i64.extend_i32_u (memory.size $g)) (i64.const 16)))
    (block $tail (loop $words
      (br_if $tail (i64.gt_u (i64.add (i64.extend_i32_u (local.get $p)) (i64.const 8)) (local.get $limit)))
      (if (i32.gt_u (i32.add (local.get $out) (i32.const 8)) (local.get $end)) (then (return (i32.const -4))))
      (local.set $x (i64.load $g align=1 (local.get $p)))
      (br_if $tail (i64.ne (i64.const 0) (i64.and
        (i64.and (i64.sub (local.get $x) (i64.const 0x0101010101010101))
                 (i64.xor (local.get $x) (i64.const -1)))
        (i64.const 0x8080808080808080))))
      (i64.store $d align=1 (local.get $out) (local.get $x))
      (local.set $diff (i64.or (local.get $diff) (i64.xor (local.get $x) (i64.load $d align=1 (local.get $rec)))))
      (local.set $p (i32.add (local.get $p) (i32.const 8)))
      (local.set $out (i32.add (local.get $out) (i32.const 8)))
      (local.set $rec (i32.add (local.get $rec) (i32.const 8)))
      (br $words)))
    (block $over (loop $bytes
      (if (i64.ge_u (i64.extend_i32_u (local.get $p)) (local.get $limit)) (then (return (i32.const -2))))
      (local.set $x (i64.load8_u $g (local.get $p)))
      (br_if $over (i64.eqz (local.get $x)))
      (if (i32.ge_u (local.get $out) (local.get $end)) (then (return (i32.const -4))))
      (i64.store8 $d (local.get $out) (local.get $x))
      (local.set $diff (i64.or (local.get $diff) (i64.xor (local.get $x) (i64.load8_u $d (local.get $rec)))))
      (local.set $p (i32.add (local.get $p) (i32.const 1)))
      (local.set $out (i32.add (local.get $out) (i32.const 1)))
      (local.set $rec (i32.add (local.get $rec) (i32.const 1)))
      (br $bytes)))
    (local.set $p (i32.sub (local.get $p) (local.get $start)))
    (if (i32.and (i32.eq (local.get $p) (local.get $len)) (i64.eqz (local.get $diff)))
      (then (return (i32.const -1))))
    (local.get $p))"""

# For each first byte from 0xc0: bytes that follow, width of a length (<< 8), and what it counts (<< 16): 0 bytes, 1 values, 2 pairs.
FORMS = (
    0, 1 << 24, 0, 0,
    1 << 8, 2 << 8, 4 << 8,
    1 | 1 << 8, 1 | 2 << 8, 1 | 4 << 8,
    4, 8, 1, 2, 4, 8, 1, 2, 4, 8,
    2, 3, 5, 9, 17,
    1 << 8, 2 << 8, 4 << 8,
    2 << 8 | 1 << 16, 4 << 8 | 1 << 16, 2 << 8 | 2 << 16, 4 << 8 | 2 << 16,
)  # fmt: skip

TAKE_MSGPACK = """
  ;; The length of the MessagePack map at $p, found by walking it: the value says itself where it ends.
  (func $measure (param $p i32) (result i32)
    (local $at i64) (local $limit i64) (local $need i64) (local $b i32) (local $form i32) (local $n i64) (local $w i32)
    (local.set $limit (i64.shl (i64.extend_i32_u (memory.size $g)) (i64.const 16)))
    (local.set $at (i64.extend_i32_u (local.get $p)))
    (if (i64.ge_u (local.get $at) (local.get $limit)) (then (return (i32.const -2))))
    (local.set $b (i32.load8_u $g (local.get $p)))
    (if (i32.eqz (local.get $b)) (then (return (i32.const 0))))
    (if (i32.eqz (i32.or (i32.eq (i32.and (local.get $b) (i32.const 0xf0)) (i32.const 0x80))
                         (i32.eq (i32.or (local.get $b) (i32.const 1)) (i32.const 0xdf))))
      (then (return (i32.const -3))))
    (local.set $need (i64.const 1))
    (loop $values
      (if (i64.ge_u (local.get $at) (local.get $limit)) (then (return (i32.const -2))))
      (local.set $b (i32.load8_u $g (i32.wrap_i64 (local.get $at))))
      (local.set $at (i64.add (local.get $at) (i64.const 1)))
      (local.set $need (i64.sub (local.get $need) (i64.const 1)))
      (if (i32.and (i32.ge_u (local.get $b) (i32.const 0x80)) (i32.lt_u (local.get $b) (i32.const 0xe0))) (then
        (if (i32.lt_u (local.get $b) (i32.const 0xc0)) (then
          (if (i32.lt_u (local.get $b) (i32.const 0xa0))
            (then (local.set $need (i64.add (local.get $need) (i64.extend_i32_u
              (i32.shl (i32.and (local.get $b) (i32.const 15)) (i32.lt_u (local.get $b) (i32.const 0x90)))))))
            (else (local.set $at (i64.add (local.get $at) (i64.extend_i32_u (i32.and (local.get $b) (i32.const 31))))))))
        (else
          (local.set $form (i32.load $d (i32.add (global.get $forms)
            (i32.shl (i32.sub (local.get $b) (i32.const 0xc0)) (i32.const 2)))))
          (if (i32.and (local.get $form) (i32.const 0x1000000)) (then (return (i32.const -3))))
          (local.set $w (i32.and (i32.shr_u (local.get $form) (i32.const 8)) (i32.const 255)))
          (local.set $n (i64.const 0))
          (if (i64.gt_u (i64.add (local.get $at) (i64.extend_i32_u (local.get $w))) (local.get $limit))
            (then (return (i32.const -2))))
          (block $read (loop $digits
            (br_if $read (i32.eqz (local.get $w)))
            (local.set $n (i64.or (i64.shl (local.get $n) (i64.const 8))
              (i64.load8_u $g (i32.wrap_i64 (local.get $at)))))
            (local.set $at (i64.add (local.get $at) (i64.const 1)))
            (local.set $w (i32.sub (local.get $w) (i32.const 1)))
            (br $digits)))
          (local.set $at (i64.add (local.get $at) (i64.extend_i32_u (i32.and (local.get $form) (i32.const 255)))))
          (local.set $w (i32.shr_u (local.get $form) (i32.const 16)))
          (if (local.get $w)
            (then (local.set $need (i64.add (local.get $need)
              (i64.shl (local.get $n) (i64.extend_i32_u (i32.sub (local.get $w) (i32.const 1)))))))
            (else (local.set $at (i64.add (local.get $at) (local.get $n)))))))))
      (br_if $values (i64.ne (local.get $need) (i64.const 0))))
    (if (i64.gt_u (local.get $at) (local.get $limit)) (then (return (i32.const -2))))
    (i32.sub (i32.wrap_i64 (local.get $at)) (local.get $p)))

  (func $take (param $p i32) (param $out i32) (param $end i32) (param $rec i32) (param $len i32) (result i32)
    (local $n i32) (local $i i32)
    (local.set $n (call $measure (local.get $p)))
    (if (i32.le_s (local.get $n) (i32.const 0)) (then (return (local.get $n))))
    (if (i32.gt_u (local.get $n) (i32.sub (local.get $end) (local.get $out))) (then (return (i32.const -4))))
    (memory.copy $d $g (local.get $out) (local.get $p) (local.get $n))
    (if (i32.ne (local.get $n) (local.get $len)) (then (return (local.get $n))))
    (block $same (loop $words
      (br_if $same (i32.ge_u (local.get $i) (local.get $len)))
      (if (i32.gt_u (i32.add (local.get $i) (i32.const 8)) (local.get $len)) (then
        (if (i32.ne (i32.load8_u $d (i32.add (local.get $out) (local.get $i)))
                    (i32.load8_u $d (i32.add (local.get $rec) (local.get $i)))) (then (return (local.get $n))))
        (local.set $i (i32.add (local.get $i) (i32.const 1))))
      (else
        (if (i64.ne (i64.load $d align=1 (i32.add (local.get $out) (local.get $i)))
                    (i64.load $d align=1 (i32.add (local.get $rec) (local.get $i)))) (then (return (local.get $n))))
        (local.set $i (i32.add (local.get $i) (i32.const 8)))))
      (br $words)))
    (i32.const -1))"""

GUARD = """
      (i64.store $g align=1 (global.get $buf) (i64.const 0x74726c7567756172))"""
CHECK = """
      (if (i64.ne (i64.load $g align=1 (global.get $buf)) (i64.const 0x74726c7567756172))
        (then (return (i32.const 3))))"""

MODULE = """(module
  (import "guest" "memory" (memory $g 0))
  (import "guest" "function" (func $f (param{params}) (result i32))){imports}
  (memory $d (export "memory") {pages})
  (data (memory $d) (i32.const 64) "{forms}")
  (global $forms i32 (i32.const 64))
  (global $buf (mut i32) (i32.const 0))
  (global $cap (mut i32) (i32.const 0))
  (global $gap (mut i32) (i32.const {gap_pages}))
  (global $pending (mut i32) (i32.const 0)){alloc}{take}

  (func (export "run") (result i32)
    (local $i i32) (local $n i32) (local $rec i32) (local $len i32) (local $out i32) (local $at i32)
    (local $p i32) (local $r i32) (local $time i64) (local $sec i64)
    (local.set $i (i32.load $d (i32.const 0)))
    (local.set $n (i32.load $d (i32.const 4)))
    (local.set $out (i32.load $d (i32.const 48)))
    (local.set $rec (i32.load $d (i32.const 52)))
    (block $done (loop $next
      (br_if $done (i32.ge_u (local.get $i) (local.get $n)))
      (i32.store $d (i32.const 0) (local.get $i))
      (local.set $len (i32.load $d (i32.add (i32.load $d (i32.const 20)) (i32.shl (local.get $i) (i32.const 2)))))
      (local.set $p (global.get $pending))
      (global.set $pending (i32.const 0))
      (if (i32.eqz (local.get $p)) (then
        (local.set $at (i32.add (i32.const 8) (i32.load $d (i32.const 56))))
        (if (i32.gt_u (i32.add (i32.add (local.get $at) (local.get $len)) (i32.const 8)) (global.get $cap)) (then
          (if (i32.eqz (call $alloc (i32.add (i32.add (local.get $at) (i32.const 4096))
                                             (i32.mul (local.get $len) (i32.const 2)))))
            (then (return (i32.const 2))))))
        (local.set $at (i32.add (global.get $buf) (local.get $at))){guard}
        (memory.copy $g $d (i32.add (global.get $buf) (i32.const 8)) (i32.load $d (i32.const 8))
          (i32.add (i32.load $d (i32.const 12)) (i32.const 1)))
        (memory.copy $g $d (local.get $at) (local.get $rec) (i32.add (local.get $len) (i32.const 1)))
        (local.set $time (i64.load $d align=1
          (i32.add (i32.load $d (i32.const 16)) (i32.shl (local.get $i) (i32.const 3)))))
        (local.set $sec (i64.div_s (local.get $time) (i64.const 1000000000)))
        (local.set $p (call $f{arguments})){check}
      ))
      (local.set $r (i32.const 0))
      (if (local.get $p) (then
        (local.set $r (call $take (local.get $p) (local.get $out)
          (i32.load $d (i32.const 36)) (local.get $rec) (local.get $len)))
        (if (i32.eq (local.get $r) (i32.const -4)) (then
          (global.set $pending (local.get $p))
          (i32.store $d (i32.const 48) (local.get $out))
          (i32.store $d (i32.const 52) (local.get $rec))
          (return (i32.const 1))))))
      (i32.store $d (i32.add (i32.load $d (i32.const 28)) (i32.shl (local.get $i) (i32.const 2))) (local.get $r))
      (if (i32.gt_s (local.get $r) (i32.const 0)) (then
        (local.set $out (i32.add (local.get $out) (local.get $r)))
        (i64.store $d align=1 (local.get $out) (i64.load $d align=1 (i32.load $d (i32.const 40))))
        (i64.store $d offset=8 align=1 (local.get $out) (i64.load $d offset=8 align=1 (i32.load $d (i32.const 40))))
        (local.set $out (i32.add (local.get $out) (i32.load $d (i32.const 44))))))
      (i32.store $d (i32.const 48) (local.get $out))
      (local.set $rec (i32.add (i32.add (local.get $rec) (local.get $len)) (i32.const 1)))
      (i32.store $d (i32.const 52) (local.get $rec))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br $next)))
    (i32.store $d (i32.const 0) (local.get $n))
    (i32.const 0))
)
"""

ARGUMENTS = (
    "(i32.add (global.get $buf) (i32.const 8))",
    "(i32.load $d (i32.const 12))",
    "(local.get $sec)",
    "(i64.sub (local.get $time) (i64.mul (local.get $sec) (i64.const 1000000000)))",
    "(local.get $at)",
    "(local.get $len)",
)


TIMES = (2, 3)
"""Places of the arguments that are 64 bit here; a function may take them as 32 or as 64 bit."""


def driver_text(
    parameters: Sequence[str], allocator: Allocator, is_msgpack: bool, gap_pages: int, pages: int
) -> str:
    """The driver for a function with parameters of these types; `gap_pages` belong to the allocator `grow`."""
    arguments = [
        f"(i32.wrap_i64 {text})" if place in TIMES and kind == "i32" else text
        for place, (kind, text) in enumerate(zip(parameters, ARGUMENTS, strict=False))
    ]
    forms = b"".join(form.to_bytes(4, "little") for form in FORMS)
    guarded = allocator == "grow"
    return MODULE.format(
        params="".join(f" {kind}" for kind in parameters),
        arguments="".join(f" {text}" for text in arguments),
        imports=IMPORTS[allocator],
        alloc=ALLOC[allocator],
        take=TAKE_MSGPACK if is_msgpack else TAKE_TEXT,
        pages=pages,
        gap_pages=gap_pages,
        forms="".join(f"\\{byte:02x}" for byte in forms),
        guard=GUARD if guarded else "",
        check=CHECK if guarded else "",
    )
