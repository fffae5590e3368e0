# Where a step goes: stacked bars from zero, measured filled, simulated hatched beside it.
HALF = 0.17
bottom(n) = n == 1 ? 0 : (sum [k = 1:n - 1] column(3 + k))
set title TITLE
set xlabel "ranks"
set ylabel "mean time of a step (ms)"
set xrange [XMIN:XMAX]
set yrange [0:TALLEST * 1.12]
set xtics scale 0
eval "set xtics (".XTICS.")"
unset key
if (!DUMB) {
    set rmargin at screen 1 - 185.0 / WIDTH
    left = WIDTH - 175
    both = MEASURED && SIMULATED
    do for [i = 1:|SHOWN|] {
        n = SHOWN[|SHOWN| + 1 - i]
        upper = HEIGHT * TOP - 22 * i
        if (MEASURED) {
            set object 100 + n rectangle from screen left * 1.0 / WIDTH, screen upper / HEIGHT \
                to screen (left + 22.0) / WIDTH, screen (upper + 13) / HEIGHT \
                fc rgb FILL[n] fs solid border lc rgb INK
        }
        x = left + (both ? 30 : 0)
        if (SIMULATED) {
            set object 200 + n rectangle from screen x * 1.0 / WIDTH, screen upper / HEIGHT \
                to screen (x + 22.0) / WIDTH, screen (upper + 13) / HEIGHT \
                fc rgb FILL[n] fs solid border lc rgb INK
            set object 300 + n rectangle from screen x * 1.0 / WIDTH, screen upper / HEIGHT \
                to screen (x + 22.0) / WIDTH, screen (upper + 13) / HEIGHT \
                fc rgb n == 6 ? PALE : INK fs transparent pattern HATCH[n] border lc rgb INK
        }
        set label 200 + n CATEGORY[n] at screen (x + 29.0) / WIDTH, screen (upper + 6) / HEIGHT \
            font ",11"
    }
    if (both) {
        set label 300 "left: measured, filled" at screen left * 1.0 / WIDTH, \
            screen (HEIGHT * TOP - 22 * |SHOWN| - 20) / HEIGHT font ",10"
        set label 301 "right: simulated, hatched" at screen left * 1.0 / WIDTH, \
            screen (HEIGHT * TOP - 22 * |SHOWN| - 36) / HEIGHT font ",10"
    }
}
plot for [m = 1:MEASURED] for [i = 1:7] DATA index "measured" \
        using 3:(0):($3 - HALF):($3 + HALF):(bottom(i)):(bottom(i + 1)) \
        with boxxyerror fc rgb FILL[i] fs solid border lc rgb INK, \
    for [m = 1:SIMULATED] for [i = 1:7] DATA index "simulated" \
        using 3:(0):($3 - HALF):($3 + HALF):(bottom(i)):(bottom(i + 1)) \
        with boxxyerror fc rgb FILL[i] fs solid border lc rgb INK, \
    for [m = 1:SIMULATED] for [i = 1:7] DATA index "simulated" \
        using 3:(0):($3 - HALF):($3 + HALF):(bottom(i)):(bottom(i + 1)) \
        with boxxyerror fc rgb i == 6 ? PALE : INK fs transparent pattern HATCH[i] \
        border lc rgb INK, \
    for [m = 1:MEASURED] DATA index "measured" using 3:11:(sprintf("%.3g", $11)) with labels \
        offset 0, 0.6 font ",10", \
    for [m = 1:SIMULATED] DATA index "simulated" using 3:11:(sprintf("%.3g", $11)) with labels \
        offset 0, 0.6 font ",10"
