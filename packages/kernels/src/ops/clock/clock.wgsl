// clock[0] += by, clock[1] += by: the step within the order at hand, and the step since training began. clock: [4] u32,
// words 2 and 3 unused. One invocation.

struct Shape { by: u32 }

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> clock: array<u32>;

@compute @workgroup_size(1)
fn main() {
  clock[0] += shape.by;
  clock[1] += shape.by;
}
