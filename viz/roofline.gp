# A roofline: on the left what computes, on the right what moves memory alone; points are as large
# as their share of the step, the largest have numbers, which the list on the right names.
XLABEL = "flop / byte (log scale)"
YLABEL = "Tflop/s, log scale"
if (!DUMB) {
    set multiplot
    set rmargin at screen 0.41
}
eval SHOW_NAMES
unset key
if (!DUMB) {
    do for [i = 1:|NAMED|] {
        set label 40 + i NAMED[i] at screen 0.775, screen TOP - (20.0 * i - 8) / HEIGHT font ",12"
    }
    array PHASES[3] = ["forward", "backward", "others"]
    do for [i = 1:3] {
        y = TOP - (20.0 * (|NAMED| + 1 + i) - 8) / HEIGHT
        set object 40 + i circle at screen 0.783, screen y size screen 0.005 \
            fc rgb i == 1 ? BLUE : i == 2 ? VERMILLION : GREEN fs solid 0.6 noborder
        set label 60 + i PHASES[i] at screen 0.795, screen y font ",12"
    }
}
array RGB[3] = [0x700072B2, 0x70D55E00, 0x70009E73]
color(phase) = RGB[phase eq "forward" ? 1 : phase eq "backward" ? 2 : 3]
size(share) = 0.5 + 0.75 * sqrt(share)
roof(x, flops, bytes) = x * bytes < flops ? x * bytes * 1e-12 : flops * 1e-12
point = "(size($7)):(color(stringcolumn(2))) with points pt 7 ps variable lc rgb variable"
# Numbers under their points, and above them where others would be in the way.
numbers(rows, name, columns, shift) = rows == 0 ? "" : sprintf(\
    ", DATA index 'named %s' using %s:8 with labels offset 0, %g font ',11'", name, columns, shift)
set xrange [XMIN:XMAX]
set yrange [*:PEAK_FLOPS * 1.0e-12 * PEAK_ROOM]
set logscale xy
set samples 500
lines = "plot roof(x, PEAK_FLOPS, PEAK_BYTES) with lines ls 3, ".\
    "roof(x, REACHED_FLOPS, REACHED_BYTES) with lines lc rgb INK lw 2, ".\
    "DATA index 'computing' using 3:($5 * 1e-12):".point
lines = lines.numbers(COMPUTING_BELOW, "computing", "3:($5 * 1e-12)", -1.6)
lines = lines.numbers(COMPUTING_ABOVE, "computing above", "3:($5 * 1e-12)", 1.4)
eval lines
if (!DUMB && MOVING > 0) {
    do for [i = 1:|CAPTION|] { unset label 100 + i }
    do for [i = 1:|NAMED|] { unset label 40 + i }
    do for [i = 1:3] {
        unset label 60 + i
        unset object 40 + i
    }
    LEFT = 0.41 + LEFT
    set lmargin at screen LEFT
    set rmargin at screen 0.76
    TITLE = "What moves memory alone"
    XLABEL = "bytes read and written (log scale)"
    YLABEL = "GB/s, log scale"
    eval SHOW_NAMES
    set xrange [LEAST:MOST]
    set yrange [*:PEAK_BYTES * 1.0e-9 * PEAK_ROOM]
    set format x "%.0s %cB"
    if (MOST / LEAST > 1e6) { set xtics 1, 1000 }
    lines = "plot PEAK_BYTES * 1e-9 with lines ls 3, REACHED_BYTES * 1e-9 with lines ".\
        "lc rgb INK lw 2, DATA index 'moving memory' using 4:($6 * 1e-9):".point
    lines = lines.numbers(MOVING_BELOW, "moving", "4:($6 * 1e-9)", -1.6)
    lines = lines.numbers(MOVING_ABOVE, "moving above", "4:($6 * 1e-9)", 1.4)
    eval lines
}
if (!DUMB) { unset multiplot }
