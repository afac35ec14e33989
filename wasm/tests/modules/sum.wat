;; Reads numbers from its input, one on each line, and writes `{"sum": N}`.
(module
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (data (i32.const 64) "{\"sum\": ")
  ;; Digits are written backwards, to the left of 128.
  (func $digits (param $value i64) (result i32) (local $at i32)
    (local.set $at (i32.const 128))
    (loop $next
      (local.set $at (i32.sub (local.get $at) (i32.const 1)))
      (i32.store8 (local.get $at) (i32.add (i32.const 48) (i32.wrap_i64 (i64.rem_u (local.get $value) (i64.const 10)))))
      (local.set $value (i64.div_u (local.get $value) (i64.const 10)))
      (br_if $next (i64.ne (local.get $value) (i64.const 0))))
    (local.get $at))
  (func $write (param $at i32) (param $length i32)
    (i32.store (i32.const 0) (local.get $at))
    (i32.store (i32.const 4) (local.get $length))
    (if (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)) (then unreachable)))
  (func (export "_start") (local $sum i64) (local $number i64) (local $at i32) (local $end i32) (local $byte i32)
    (block $over
      (loop $more
        (i32.store (i32.const 0) (i32.const 1024))
        (i32.store (i32.const 4) (i32.const 65536))
        (if (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)) (then unreachable))
        (br_if $over (i32.eqz (i32.load (i32.const 8))))
        (local.set $at (i32.const 1024))
        (local.set $end (i32.add (local.get $at) (i32.load (i32.const 8))))
        (loop $bytes
          (local.set $byte (i32.load8_u (local.get $at)))
          (if (i32.eq (local.get $byte) (i32.const 10))
            (then
              (local.set $sum (i64.add (local.get $sum) (local.get $number)))
              (local.set $number (i64.const 0)))
            (else
              (local.set $number (i64.add (i64.mul (local.get $number) (i64.const 10))
                (i64.extend_i32_u (i32.sub (local.get $byte) (i32.const 48)))))))
          (local.set $at (i32.add (local.get $at) (i32.const 1)))
          (br_if $bytes (i32.lt_u (local.get $at) (local.get $end))))
        (br $more)))
    (call $write (i32.const 64) (i32.const 8))
    (local.set $at (call $digits (local.get $sum)))
    (call $write (local.get $at) (i32.sub (i32.const 128) (local.get $at)))
    (i32.store8 (i32.const 128) (i32.const 125))
    (call $write (i32.const 128) (i32.const 1))))
