# Where a step goes: stacked bars from zero, measured filled, simulated hatched beside it.
HALF = 0.17
bottom(n) = n == 1 ? 0 : SCALE * (sum [k = 1:n - 1] column(3 + k))
XLABEL = RANKS
# In the unit that shows the tallest bar as 0.1 or more; numbers without an exponent.
UNIT = TALLEST < 0.1 ? "us" : TALLEST < 10000 ? "ms" : "s"
SCALE = TALLEST < 0.1 ? 1000.0 : TALLEST < 10000 ? 1.0 : 0.001
number(x) = sprintf(x < 1000 ? "%.3g" : "%.0f", x)
YLABEL = "mean time of a step (".UNIT.")"
eval SHOW_NAMES
set xrange [XMIN:XMAX]
set yrange [0:SCALE * TALLEST * 1.12]
set xtics scale 0
eval "set xtics (".XTICS.")"
unset key
if (!DUMB) {
    set rmargin at screen 1 - 190.0 / WIDTH
    left = WIDTH - 180
    both = MEASURED && SIMULATED
    do for [i = 1:|SHOWN|] {
        n = SHOWN[|SHOWN| + 1 - i]
        upper = HEIGHT * TOP - 24 * i
        if (MEASURED) {
            set object 100 + n rectangle from screen left * 1.0 / WIDTH, screen upper / HEIGHT \
                to screen (left + 22.0) / WIDTH, screen (upper + 14) / HEIGHT \
                fc rgb FILL[n] fs solid border lc rgb INK
        }
        x = left + (both ? 30 : 0)
        if (SIMULATED) {
            set object 200 + n rectangle from screen x * 1.0 / WIDTH, screen upper / HEIGHT \
                to screen (x + 22.0) / WIDTH, screen (upper + 14) / HEIGHT \
                fc rgb FILL[n] fs solid border lc rgb INK
            set object 300 + n rectangle from screen x * 1.0 / WIDTH, screen upper / HEIGHT \
                to screen (x + 22.0) / WIDTH, screen (upper + 14) / HEIGHT \
                fc rgb n == 6 ? PALE : INK fs transparent pattern HATCH[n] border lc rgb INK
        }
        set label 200 + n CATEGORY[n] at screen (x + 29.0) / WIDTH, screen (upper + 7) / HEIGHT \
            font ",13"
    }
    if (both) {
        set label 300 "left: measured, filled" at screen left * 1.0 / WIDTH, \
            screen (HEIGHT * TOP - 24 * |SHOWN| - 20) / HEIGHT font ",12"
        set label 301 "right: simulated, hatched" at screen left * 1.0 / WIDTH, \
            screen (HEIGHT * TOP - 24 * |SHOWN| - 36) / HEIGHT font ",12"
    }
}
box = " using 3:(0):($3 - HALF):($3 + HALF):(bottom(i)):(bottom(i + 1)) with boxxyerror"
lines = "plot"
do for [k = 1:|SERIES|] {
    data = sprintf(" DATA index '%s'", SERIES[k])
    lines = lines.(k > 1 ? "," : "")." for [i = 1:7]".data.box.\
        " fc rgb FILL[i] fs solid border lc rgb INK,"
    if (SERIES[k] eq "simulated") {
        lines = lines." for [i = 1:7]".data.box." fc rgb (i == 6 ? PALE : INK)".\
            " fs transparent pattern HATCH[i] border lc rgb INK,"
    }
    lines = lines.data." using 3:(SCALE * $11):(number(SCALE * $11)) with labels".\
        " offset 0, 0.6 font ',12'"
}
eval lines
