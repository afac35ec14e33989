;; A component that is a program, and succeeds.
(component
  (core module $inside (func (export "run") (result i32) (i32.const 0)))
  (core instance $instance (instantiate $inside))
  (func $run (result (result)) (canon lift (core func $instance "run")))
  (component $shape
    (import "run" (func $run (result (result))))
    (export "run" (func $run)))
  (instance $exports (instantiate $shape (with "run" (func $run))))
  (export "wasi:cli/run@0.2.0" (instance $exports)))
