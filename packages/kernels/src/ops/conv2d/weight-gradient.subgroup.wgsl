// dweight[f, ky, kx, c] = sum over n, oy, ox of dy[n, oy, ox, f] x[n, oy sy + ky - top, ox sx + kx - left, c]
// x [N, H, W, C4], dy [N, OH, OW, F4], all as vec4f along the last dimension.
// partial [splits, F4, KH, KW, C4]: output rows (n, oy) are cut into `segments` of `segment` pixels (a multiple of 4), and
// all segments into `splits` runs of `segments_per_split`, each summed into a copy of its own; sum-partials.wgsl adds
// the copies. With one split, partial is dweight itself.
// A matrix product in registers, 4 pixels a step. One lane: 4 channels of one tap, x loaded along c; one workgroup: one
// subgroup, SUBGROUP such columns x ROWS filters in one split (workgroup_id.z). 4 pixels x ROWS filters of dy are loaded
// once a subgroup and broadcast.
// Preconditions: ROWS is 8 or 16; the subgroup size is SUBGROUP, which is 8 or 16. Ragged edges are guarded.
enable subgroups;

const SUBGROUP = 8u;
const ROWS = 16u;
const COLUMNS = ROWS / 4u;

struct Shape {
  height: i32, width: i32, channels4: u32, filters4: u32, out_height: u32, out_width: u32,
  kernel_height: u32, kernel_width: u32, stride_y: i32, stride_x: i32, top: i32, left: i32,
  segment: u32, segments: u32, all_segments: u32, segments_per_split: u32,
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> dy: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> partial: array<vec4f>;

fn load(line: i32, ix: i32, inside: bool, c: u32) -> vec4f {
  let ok = inside && ix >= 0 && ix < shape.width;
  return select(vec4f(), x[u32(select(0, line + ix, ok)) * shape.channels4 + c], ok);
}

fn load_gradient(row: u32, ox: u32, f: u32) -> vec4f {
  let at = row * shape.out_width + min(ox, shape.out_width - 1u);
  return select(vec4f(), dy[at * shape.filters4 + f], ox < shape.out_width);
}

fn store(at: u32, f: u32, row: u32, ok: bool, s0: vec4f, s1: vec4f, s2: vec4f, s3: vec4f) {
  if (!ok || f >= shape.filters4) { return; }
  partial[at + 4u * f * row] = s0;
  partial[at + (4u * f + 1u) * row] = s1;
  partial[at + (4u * f + 2u) * row] = s2;
  partial[at + (4u * f + 3u) * row] = s3;
}

@compute @workgroup_size(SUBGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(subgroup_invocation_id) lane: u32) {
  let row = shape.kernel_height * shape.kernel_width * shape.channels4;
  let blocks = (shape.filters4 + COLUMNS - 1u) / COLUMNS;
  let tile = group.y * groups.x + group.x;
  let first = tile % blocks * COLUMNS;
  let own = tile / blocks * SUBGROUP + lane;
  let c = min(own, row - 1u) % shape.channels4;
  let tap = min(own, row - 1u) / shape.channels4;
  let dy_rows = i32(tap / shape.kernel_width) - shape.top;
  let dx_columns = i32(tap % shape.kernel_width) - shape.left;
  // Lane: pixel lane / COLUMNS of 4 (in two loads where 4 COLUMNS > SUBGROUP), filters first + lane % COLUMNS.
  let column = min(first + lane % COLUMNS, shape.filters4 - 1u);
  let step = lane / COLUMNS;
  var s0 = vec4f(); var s1 = vec4f(); var s2 = vec4f(); var s3 = vec4f();
  var s4 = vec4f(); var s5 = vec4f(); var s6 = vec4f(); var s7 = vec4f();
  var s8 = vec4f(); var s9 = vec4f(); var s10 = vec4f(); var s11 = vec4f();
  var s12 = vec4f(); var s13 = vec4f(); var s14 = vec4f(); var s15 = vec4f();
  let start = group.z * shape.segments_per_split;
  let end = min(start + shape.segments_per_split, shape.all_segments);
  for (var s = start; s < end; s++) {
    let r = s / shape.segments;
    let iy = i32(r % shape.out_height) * shape.stride_y + dy_rows;
    let inside = iy >= 0 && iy < shape.height;
    let line = (i32(r / shape.out_height) * shape.height + iy) * shape.width;
    let begin = s % shape.segments * shape.segment;
    let stop = min(begin + shape.segment, shape.out_width);
    for (var ox = begin; ox < stop; ox += 4u) {
      let w0 = load_gradient(r, ox + step, column);
      var w1 = w0;
      if (ROWS > SUBGROUP) { w1 = load_gradient(r, ox + 2u + step, column); }
      let ix = i32(ox) * shape.stride_x + dx_columns;
      let m = mat4x4f(load(line, ix, inside, c), load(line, ix + shape.stride_x, inside, c),
        load(line, ix + 2 * shape.stride_x, inside, c), load(line, ix + 3 * shape.stride_x, inside, c));
      {
        let b0 = subgroupBroadcast(select(w1, w0, 0u < SUBGROUP), (0u) % SUBGROUP);
        let b1 = subgroupBroadcast(select(w1, w0, COLUMNS < SUBGROUP), (COLUMNS) % SUBGROUP);
        let b2 = subgroupBroadcast(select(w1, w0, 2u * COLUMNS < SUBGROUP), (2u * COLUMNS) % SUBGROUP);
        let b3 = subgroupBroadcast(select(w1, w0, 3u * COLUMNS < SUBGROUP), (3u * COLUMNS) % SUBGROUP);
        s0 += m * vec4f(b0.x, b1.x, b2.x, b3.x);
        s1 += m * vec4f(b0.y, b1.y, b2.y, b3.y);
        s2 += m * vec4f(b0.z, b1.z, b2.z, b3.z);
        s3 += m * vec4f(b0.w, b1.w, b2.w, b3.w);
      }
      {
        let b0 = subgroupBroadcast(select(w1, w0, 1u < SUBGROUP), (1u) % SUBGROUP);
        let b1 = subgroupBroadcast(select(w1, w0, COLUMNS + 1u < SUBGROUP), (COLUMNS + 1u) % SUBGROUP);
        let b2 = subgroupBroadcast(select(w1, w0, 2u * COLUMNS + 1u < SUBGROUP), (2u * COLUMNS + 1u) % SUBGROUP);
        let b3 = subgroupBroadcast(select(w1, w0, 3u * COLUMNS + 1u < SUBGROUP), (3u * COLUMNS + 1u) % SUBGROUP);
        s4 += m * vec4f(b0.x, b1.x, b2.x, b3.x);
        s5 += m * vec4f(b0.y, b1.y, b2.y, b3.y);
        s6 += m * vec4f(b0.z, b1.z, b2.z, b3.z);
        s7 += m * vec4f(b0.w, b1.w, b2.w, b3.w);
      }
      if (ROWS > 8u) {
        {
          let b0 = subgroupBroadcast(select(w1, w0, 2u < SUBGROUP), (2u) % SUBGROUP);
          let b1 = subgroupBroadcast(select(w1, w0, COLUMNS + 2u < SUBGROUP), (COLUMNS + 2u) % SUBGROUP);
          let b2 = subgroupBroadcast(select(w1, w0, 2u * COLUMNS + 2u < SUBGROUP), (2u * COLUMNS + 2u) % SUBGROUP);
          let b3 = subgroupBroadcast(select(w1, w0, 3u * COLUMNS + 2u < SUBGROUP), (3u * COLUMNS + 2u) % SUBGROUP);
          s8 += m * vec4f(b0.x, b1.x, b2.x, b3.x);
          s9 += m * vec4f(b0.y, b1.y, b2.y, b3.y);
          s10 += m * vec4f(b0.z, b1.z, b2.z, b3.z);
          s11 += m * vec4f(b0.w, b1.w, b2.w, b3.w);
        }
        {
          let b0 = subgroupBroadcast(select(w1, w0, 3u < SUBGROUP), (3u) % SUBGROUP);
          let b1 = subgroupBroadcast(select(w1, w0, COLUMNS + 3u < SUBGROUP), (COLUMNS + 3u) % SUBGROUP);
          let b2 = subgroupBroadcast(select(w1, w0, 2u * COLUMNS + 3u < SUBGROUP), (2u * COLUMNS + 3u) % SUBGROUP);
          let b3 = subgroupBroadcast(select(w1, w0, 3u * COLUMNS + 3u < SUBGROUP), (3u * COLUMNS + 3u) % SUBGROUP);
          s12 += m * vec4f(b0.x, b1.x, b2.x, b3.x);
          s13 += m * vec4f(b0.y, b1.y, b2.y, b3.y);
          s14 += m * vec4f(b0.z, b1.z, b2.z, b3.z);
          s15 += m * vec4f(b0.w, b1.w, b2.w, b3.w);
        }
      }
    }
  }
  let out = group.z * shape.filters4 * 4u * row + own;
  store(out, first, row, own < row, s0, s1, s2, s3);
  store(out, first + 1u, row, own < row, s4, s5, s6, s7);
  if (ROWS > 8u) {
    store(out, first + 2u, row, own < row, s8, s9, s10, s11);
    store(out, first + 3u, row, own < row, s12, s13, s14, s15);
  }
}
