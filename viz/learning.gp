# Loss and accuracy against steps, samples, epochs and seconds: the same runs in every panel.
panels = |AXIS|
rows = DUMB || !EVALUATED ? 1 : 2
if (DUMB) {
    panels = 1
} else {
    set multiplot
    set label 1 TITLE at screen 0.5, screen 1 - 18.0 / HEIGHT center font ",14"
    do for [r = 1:RUNS] {
        x = LEFT * WIDTH + 180 * ((r - 1) % 6)
        y = HEIGHT - 40.0 - 16 * ((r - 1) / 6)
        set arrow r from screen x / WIDTH, screen y / HEIGHT to screen (x + 34) / WIDTH, \
            screen y / HEIGHT nohead ls 10 + r
        set label 10 + r "" at screen (x + 17) / WIDTH, screen y / HEIGHT point ls 10 + r
        set label 20 + r RUN[r] at screen (x + 42) / WIDTH, screen y / HEIGHT font ",12"
    }
    unset key
    TITLE = ""
}
first = LEFT
step = (RIGHT - LEFT + 50.0 / WIDTH) / panels
middle = rows == 1 ? BOTTOM : BOTTOM + 0.5 * (TOP - BOTTOM) + 21.0 / HEIGHT
position(p) = column(AXIS[p]) / AXIS_SCALE[p]
set yrange [0:*]
do for [p = 1:panels] {
    LEFT = first + (p - 1) * step
    XLABEL = rows == 1 ? AXIS_LABEL[p] : ""
    YLABEL = p == 1 ? "loss" : ""
    eval SHOW_NAMES
    if (!DUMB) {
        set lmargin at screen LEFT
        set rmargin at screen LEFT + step - 50.0 / WIDTH
        set bmargin at screen middle
    }
    set xrange [0:1.02 * AXIS_MOST[p]]
    set xtics AXIS_TICK[p]
    data = " for [r = 1:RUNS] DATA index sprintf('run %d', r) every EVERY using (position(p))"
    eval "plot".(DUMB ? "" : data.":6 with points ls 20 + r notitle,").\
        data.":7 with lines ls 10 + r title RUN[r]"
    unset label
    unset arrow
}
if (rows == 2) {
    set yrange [ACCURACY_LEAST:100]
    do for [p = 1:panels] {
        LEFT = first + (p - 1) * step
        XLABEL = AXIS_LABEL[p]
        YLABEL = p == 1 ? "held-out accuracy (%)" : ""
        eval SHOW_NAMES
        set lmargin at screen LEFT
        set rmargin at screen LEFT + step - 50.0 / WIDTH
        set bmargin at screen BOTTOM
        set tmargin at screen middle - 42.0 / HEIGHT
        set xrange [0:1.02 * AXIS_MOST[p]]
        set xtics AXIS_TICK[p]
        plot for [r = 1:RUNS] DATA index sprintf("evaluations %d", r) \
            using (position(p)):(100 * $8) with linespoints ls 10 + r notitle
    }
}
if (!DUMB) { unset multiplot }
