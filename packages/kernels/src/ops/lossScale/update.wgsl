// After the optimiser: scaling = (scale, unscale, good steps, skipped steps) for the next step.
// A skipped step (unscale 0) halves the scale, down to 1, and starts the count of good ones anew; `interval` good ones double
// it, up to `most`. unscale = 1 / scale. One invocation.

struct Shape { interval: f32, most: f32 }

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> scaling: vec4f;

@compute @workgroup_size(1)
fn main() {
  var next = scaling;
  if (next.y == 0.0) {
    next = vec4f(max(1.0, 0.5 * next.x), 0.0, 0.0, next.w + 1.0);
  } else {
    next.z += 1.0;
    if (next.z >= shape.interval) { next = vec4f(max(next.x, min(shape.most, 2.0 * next.x)), 0.0, 0.0, next.w); }
  }
  next.y = 1.0 / next.x;
  scaling = next;
}
