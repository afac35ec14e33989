;; Opens what its second argument names, below the first directory that it has, and says by its exit code what came
;; of it: 0 and what is in it, or the error number of WASI. With a third argument it opens for writing.
(module
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 4)
  (func $try (param $error i32)
    (if (local.get $error) (then (call $exit (local.get $error)))))
  (func (export "_start") (local $path i32) (local $length i32) (local $writes i32) (local $file i32)
    (call $try (call $args_sizes (i32.const 16) (i32.const 20)))
    (call $try (call $args (i32.const 1024) (i32.const 65536)))
    (local.set $path (i32.load (i32.const 1028)))
    (local.set $writes (i32.gt_u (i32.load (i32.const 16)) (i32.const 2)))
    (loop $next
      (if (i32.load8_u (i32.add (local.get $path) (local.get $length)))
        (then
          (local.set $length (i32.add (local.get $length) (i32.const 1)))
          (br $next))))
    (call $try (call $path_open
      (i32.const 3) (i32.const 1) (local.get $path) (local.get $length)
      ;; Created and emptied when it is written; the right to read is 2, to write 64.
      (select (i32.const 9) (i32.const 0) (local.get $writes))
      (select (i64.const 64) (i64.const 2) (local.get $writes))
      (i64.const 0) (i32.const 0) (i32.const 24)))
    (local.set $file (i32.load (i32.const 24)))
    (i32.store (i32.const 0) (i32.const 131072))
    (i32.store (i32.const 4) (i32.const 4))
    (if (local.get $writes)
      (then
        (i32.store (i32.const 131072) (i32.const 0x0a74756f))
        (call $try (call $fd_write (local.get $file) (i32.const 0) (i32.const 1) (i32.const 8))))
      (else
        (i32.store (i32.const 4) (i32.const 4096))
        (call $try (call $fd_read (local.get $file) (i32.const 0) (i32.const 1) (i32.const 8)))
        (i32.store (i32.const 4) (i32.load (i32.const 8)))
        (call $try (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))))
