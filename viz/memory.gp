# Memory by class: stacked bars, simulated hatched, measured filled beside it; a line is the device.
# Classes as breakdown.gp tells its categories: colour, hatching, a border between neighbours.
array MEMORY_FILL[7] = [BLUE, ORANGE, GREEN, SKY, VERMILLION, PALE, GREY]
array MEMORY_HATCH[7] = [4, 5, 2, 7, 6, 1, 0]
BOTH = |SERIES| > 1
HALF = BOTH ? 0.17 : 0.34
bottom(n) = n == 1 ? 0 : (sum [k = 1:n - 1] column(2 + k)) / SCALE
YLABEL = "memory of a device (".UNIT.")"
ROTATED = |LABELS| > 8 && strlen(LABELS[|LABELS|]) > 4
LONGEST = 0
do for [i = 1:|LABELS|] { if (strlen(LABELS[i]) > LONGEST) { LONGEST = strlen(LABELS[i]) } }
if (ROTATED && !DUMB) {
    BOTTOM = BOTTOM + (5.5 * LONGEST - 32) / HEIGHT
    set bmargin at screen BOTTOM
}
eval SHOW_NAMES
if (ROTATED && !DUMB) { set label 91 "" }
set xrange [-0.7:|LABELS| - 0.3]
set yrange [0:TALLEST / SCALE * 1.1]
set xtics scale 0
if (ROTATED) { set xtics rotate by 90 right font ",11" }
set xtics ("" 0)
do for [i = 1:|LABELS|] { set xtics add (LABELS[i] i - 1) }
unset key
if (!DUMB) {
    set rmargin at screen 1 - 190.0 / WIDTH
    at = WIDTH - 172
    do for [i = 1:|SHOWN|] {
        n = SHOWN[|SHOWN| + 1 - i]
        upper = HEIGHT * TOP - 24 * i
        do for [b = 1:2] {
            set object 100 * b + n rectangle from screen at * 1.0 / WIDTH, screen upper / HEIGHT \
                to screen (at + 22.0) / WIDTH, screen (upper + 14) / HEIGHT \
                fc rgb b == 1 ? MEMORY_FILL[n] : INK fs solid border lc rgb INK
            if (b == 2) {
                set object 100 * b + n fs transparent pattern MEMORY_HATCH[n] border lc rgb INK
            }
        }
        set label 200 + n CATEGORY[n] at screen (at + 30.0) / WIDTH, screen (upper + 7) / HEIGHT \
            font ",13"
    }
    if (BOTH) {
        low = HEIGHT * TOP - 24 * |SHOWN| - 20
        set label 300 "left: measured, filled" at screen at * 1.0 / WIDTH, screen low / HEIGHT \
            font ",12"
        set label 301 "right: planned, hatched" at screen at * 1.0 / WIDTH, \
            screen (low - 16) / HEIGHT font ",12"
    }
    if (DEVICE > 0) {
        set arrow 1 from graph 0, first DEVICE / SCALE to graph 1, first DEVICE / SCALE nohead \
            lc rgb VERMILLION lw 2 dt 2 front
        set label 302 sprintf("a device has %.4g %s", DEVICE / SCALE, UNIT) at graph 0.01, \
            first DEVICE / SCALE offset 0, 0.6 tc rgb VERMILLION font ",12" front
    }
}
do for [i = 1:|LABELS|] {
    if (MISSING[i]) {
        set label 400 + i "x" at first i - 1, graph 0.025 center tc rgb VERMILLION font ",15"
    }
}
lines = "plot"
box = " using 2:(0):($2 - HALF):($2 + HALF):(bottom(i)):(bottom(i + 1)) with boxxyerror"
do for [k = 1:|SERIES|] {
    data = sprintf(" DATA index '%s'", SERIES[k])
    lines = lines.(k > 1 ? "," : "")." for [i = 1:7]".data.box.\
        " fc rgb MEMORY_FILL[i] fs solid border lc rgb INK,"
    if (SERIES[k] eq "simulated") {
        lines = lines." for [i = 1:7]".data.box.\
            " fc rgb INK fs transparent pattern MEMORY_HATCH[i] border lc rgb INK,"
    }
    lines = lines.data." using 2:($10 / SCALE):(sprintf('%.3g', $10 / SCALE))".\
        " with labels offset 0, 0.6 font ',12'"
}
eval lines
