// table[(image - first) * views + min(view, views - 1), w] = y[i, w] with (image, view) = order[step, i], step = clock[0].
// y: [batch, words] u32. order: [steps, batch, 2]. clock: [4]. table: [count, views, words].
// Void images (0xffffffff), steps past the order and images outside first .. first + count - 1 write nothing. The rows of one step
// must differ from each other, else which one stays is open.
// One invocation owns a word of y; a workgroup 64 words. Workgroups may exceed the work.

struct Shape { batch: u32, words: u32, views: u32, first: u32, count: u32, steps: u32, voidWord: u32 }

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> y: array<u32>;
@group(0) @binding(2) var<storage, read> order: array<vec2u>;
@group(0) @binding(3) var<storage, read> clock: array<u32>;
@group(0) @binding(4) var<storage, read_write> table: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let at = (group.y * groups.x + group.x) * 64u + lane;
  let step = clock[0];
  if (at >= shape.batch * shape.words || step >= shape.steps) { return; }
  let entry = order[step * shape.batch + at / shape.words];
  let local = entry.x - shape.first; // wraps below first, so one comparison tells both sides, and void as well
  if (local >= shape.count) { return; }
  let row = local * shape.views + min(entry.y, shape.views - 1u);
  table[row * shape.words + at % shape.words] = y[at];
}
