# Simulated against measured step time, and the signed error of each world size.
if (!DUMB) {
    set multiplot
    set rmargin at screen 0.47
}
TITLE = "Step time of ".MODEL.", simulated against measured"
XLABEL = "measured step (ms)"
YLABEL = "simulated step (ms)"
eval SHOW_NAMES
set xrange [0:MOST]
set yrange [0:MOST]
if (!DUMB) {
    set object 1 polygon from 0, 0 to MOST, 0.9 * MOST to MOST, MOST to MOST / 1.1, MOST to 0, 0 \
        behind fc rgb SHADE fs solid noborder
}
lines = "plot DATA index 'diagonal' using 3:6 with lines ls 3 notitle"
do for [i = 1:|SETS|] {
    style = SETS[i] eq "known" ? 6 : 2
    set_data = sprintf(", DATA index '%s' using 3:6", SETS[i])
    lines = lines.set_data.(DUMB ? "" : ":4:5").\
        (DUMB ? " with points" : " with xerrorbars").\
        sprintf(" ls %d dt 1 title '%s'", style, SETS[i])
    if (!DUMB) {
        lines = lines.set_data.":2 with labels left offset 0.9,-0.7 font ',12' notitle"
    }
}
eval lines
if (!DUMB) {
    do for [i = 1:|CAPTION|] { unset label 100 + i }
    unset object 1
    LEFT = 0.47 + 84.0 / WIDTH
    set lmargin at screen LEFT
    set rmargin at screen RIGHT
    TITLE = "Error of the simulated step time"
    XLABEL = RANKS
    YLABEL = "simulated / measured - 1 (%)"
    eval SHOW_NAMES
    set xrange [-0.6:SIZES - 0.4]
    set yrange [-ERROR_MOST:ERROR_MOST]
    set xtics scale 0
    set object 2 rectangle from graph 0, first -10 to graph 1, first 10 behind fc rgb SHADE \
        fs solid noborder
    set arrow 1 from graph 0, first 0 to graph 1, first 0 nohead lc rgb INK
    # With their error bars; the numbers stand at the foot, where no bar is in the way.
    lines = ""
    do for [i = 1:|SETS|] {
        fill = SETS[i] eq "known" ? "fc rgb GREY fs solid" : "fc rgb VERMILLION fs pattern 4"
        lines = lines.(i > 1 ? ", " : "plot ").\
            sprintf("DATA index '%s' using 1:7:8:9:(0.5):xtic(2) with boxerrorbars %s", \
                    SETS[i], fill).\
            sprintf(" border lc rgb INK title '%s', DATA index '%s'", SETS[i], SETS[i]).\
            " using 1:(-0.94 * ERROR_MOST):(sprintf('%+.1f %%', $7)) with labels notitle"
    }
    eval lines
    unset multiplot
}
