// @ts-check
// What the pages of the course do by themselves: play runs, take answers, unfold, enlarge.

import { takeAnswers } from "./answers.js";
import { addUnfoldAll, openFoldOfTarget } from "./folds.js";
import { enlargePictures } from "./pictures.js";
import { openPlayers } from "./players.js";
import { takeQuizAnswers } from "./quiz.js";
import { reachWhatScrolls } from "./scrolling.js";
import { followTheme } from "./theme.js";

followTheme();
addUnfoldAll();
openFoldOfTarget();
takeAnswers();
takeQuizAnswers();
enlargePictures();
openPlayers();
reachWhatScrolls();
