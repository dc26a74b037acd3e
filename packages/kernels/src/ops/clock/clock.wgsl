// clock[0] += by: the step count of a plan. clock: [4] u32, words 1 to 3 unused. One invocation.

struct Shape { by: u32 }

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> clock: array<u32>;

@compute @workgroup_size(1)
fn main() {
  clock[0] += shape.by;
}
