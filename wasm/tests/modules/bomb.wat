;; Takes memory, writes into every page of it, and gives up when it gets no more.
(module
  (memory (export "memory") 1)
  (func (export "_start") (local $at i32)
    (loop $more
      (local.set $at (memory.grow (i32.const 16)))
      (if (i32.eq (local.get $at) (i32.const -1)) (then unreachable))
      (memory.fill (i32.mul (local.get $at) (i32.const 65536)) (i32.const 255) (i32.const 1048576))
      (br $more))))
